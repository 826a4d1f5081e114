"""The whole model against Tensor2Tensor 1.2.7, array by array."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import goldens
import multimodel_t2t_names
import original_names
from t2t_mm import modality, registry
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import moe
from t2t_mm.models import feed_forward, multimodel_t2t
from t2t_mm.models import multimodel_t2t_blocks as blocks

registry.import_registrations()
registry.import_models()

NAMES = goldens.names("mmbase_")
PROBLEM = "golden"
ACTIVATIONS = "activations_relative_to_rms"
GATES = "gates_and_load_absolute"
LOSSES = "losses_relative"


def _make_hparams(original):
    """Returns `multimodel_t2t` at the sizes of a golden model."""
    size = original["hidden_size"]
    return dataclasses.replace(
        registry.HPARAMS.get("multimodel_t2t")(),
        hidden_size=size,
        filter_size=original["filter_size"],
        num_hidden_layers=original["num_hidden_layers"],
        num_heads=original["num_heads"],
        kernel_size=original["kernel_height"],
        large_kernel_size=original["large_kernel_size"],
        moe_num_experts=original["moe_num_experts"],
        moe_k=original["moe_k"],
        moe_filter_size=int(original["moe_hidden_sizes"]),
        moe_layers=tuple(int(i) for i in original["moe_layers"].split(",")),
        moe_loss_coef=original["moe_loss_coef"],
        moe_route_padding=True,
        class_label_filters=(size * 5 // 4, size * 2, size * 5 // 2),
        label_smoothing=original["label_smoothing"],
    )


def _spec(fixture, role):
    kind, size = fixture.entry[f"{role.removesuffix('s')}_modality"]
    if kind.startswith("image"):
        return FeatureSpec(
            modality="image", shape=fixture[f"in:{role}"].shape[1:], dtype="uint8"
        )
    if kind.startswith("class_label"):
        return FeatureSpec(
            modality="class_label", vocab_size=size, vocabulary="things", shape=(1,)
        )
    return FeatureSpec(modality="symbol", vocab_size=size, vocabulary=f"v{size}")


def _feature(fixture, role):
    """Returns a feature and its lengths, as our problems give them."""
    array, spec = fixture[f"in:{role}"], _spec(fixture, role)
    if spec.modality == "image":
        return tf.constant(array, tf.uint8), tf.ones([len(array)], tf.int32)
    ids = array[:, :, 0, 0]
    if spec.modality == "class_label":
        return tf.constant(ids), tf.ones([len(ids)], tf.int32)
    return tf.constant(ids), tf.constant((ids != 0).sum(1), tf.int32)


def _features(fixture):
    features = {"target_space_id": tf.constant(int(fixture["in:target_space_id"]))}
    for role in ("inputs", "targets"):
        features[role], features[f"{role}_length"] = _feature(fixture, role)
    return features


def _build(fixture):
    hparams = _make_hparams(fixture.entry["hparams"])
    specs = {role: _spec(fixture, role) for role in ("inputs", "targets")}
    model = multimodel_t2t.MultiModelT2T(hparams, {PROBLEM: specs}, name="model")
    classes = specs["targets"].vocab_size
    rows = [
        *multimodel_t2t_names.body_rows(hparams.num_hidden_layers),
        *multimodel_t2t_names.modality_rows(hparams.hidden_size, classes),
    ]
    variables = multimodel_t2t_names.without_parallel(fixture.variables)
    # The original makes no decoder for categories.
    decodes = model.is_autoregressive(PROBLEM)
    absent = () if decodes else ("commands", "decoder_")
    original_names.assign(model, variables, rows, absent=absent)
    return model


@pytest.fixture
def calls(monkeypatch):
    """Collects arguments and results of the parts, by part, in the order of calls."""
    collected = {}

    def record(owner, key, name="__call__"):
        collected[key], function = [], getattr(owner, name)

        def recording(self, *args, **kwargs):
            output = function(self, *args, **kwargs)
            collected[key].append((args, output))
            return output

        monkeypatch.setattr(owner, name, recording)

    record(multimodel_t2t.MultiModelT2T, "decoder_input", "decoder_input")
    record(blocks.EncoderLayer, "encoder")
    record(blocks.ConvBranch, "convolutions")
    record(blocks.DecoderLayer, "decoder")
    record(blocks.Attention, "attention")
    record(feed_forward.FeedForward, "experts")
    record(moe.Gate, "gate")
    return collected


def _run(name):
    fixture = goldens.fixture(name)
    model, features = _build(fixture), _features(fixture)
    return fixture, model, features, model(features, problem=PROBLEM)


def _layers_with_experts(model):
    """Names of layers in the original, in the order of our calls."""
    hparams = model.hparams
    encoder = [f"enc_layer_{i}" for i in range(hparams.num_hidden_layers)]
    if not model.is_autoregressive(PROBLEM):
        return encoder
    return encoder + [f"dec_layer_{i}" for i in hparams.moe_layers]


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_equal_the_original(name):
    fixture = goldens.fixture(name)
    model, features = _build(fixture), _features(fixture)
    spec = model.problems[PROBLEM]["inputs"]
    source = model.modalities[registry.MODALITIES.get(spec.modality).key(spec)]

    inputs = source.bottom(features["inputs"], features["inputs_length"])

    fixture.compare("act:bottom_inputs", inputs.values, kind=ACTIVATIONS)
    if model.is_autoregressive(PROBLEM):
        target = model.target_modality(PROBLEM)
        targets = target.targets_bottom(features["targets"])
        fixture.compare("act:bottom_targets", targets, kind=ACTIVATIONS)


@pytest.mark.parametrize("name", NAMES)
def test_activations_of_the_encoder_equal_the_original(name, calls):
    fixture, model, _, _ = _run(name)

    for i in range(model.hparams.num_hidden_layers):
        layer = f"act:enc_layer_{i}"
        (_, convolved), (_, output) = calls["convolutions"][i], calls["encoder"][i]
        fixture.compare(f"{layer}_conv_branch", convolved, kind=ACTIVATIONS)
        fixture.compare(f"{layer}_after_norm", output.values, kind=ACTIVATIONS)
    if not model.is_autoregressive(PROBLEM):
        fixture.compare("act:body_out", output.values, kind=ACTIVATIONS)


@pytest.mark.parametrize("name", NAMES)
def test_activations_of_the_decoder_equal_the_original(name, calls):
    fixture, model, _, _ = _run(name)

    for _, x in calls["decoder_input"]:
        fixture.compare("act:decoder_in", x, kind=ACTIVATIONS)
    for i, (_, x) in enumerate(calls["attention"]):
        key = f"act:dec_layer_{i}_after_attention_norm"
        fixture.compare(key, x, kind=ACTIVATIONS)
    for i, (_, output) in enumerate(calls["decoder"]):
        fixture.compare(f"act:dec_layer_{i}_out", output.values, kind=ACTIVATIONS)
    if model.is_autoregressive(PROBLEM):
        fixture.compare("act:body_out", output.values, kind=ACTIVATIONS)


@pytest.mark.parametrize("name", NAMES)
def test_experts_equal_the_original(name, calls):
    fixture, model, _, _ = _run(name)
    layers = _layers_with_experts(model)

    for layer, (args, output) in zip(layers, calls["experts"], strict=True):
        fixture.compare(f"act:{layer}_moe_in_2d", args[0], kind=ACTIVATIONS)
        fixture.compare(f"act:{layer}_moe_branch", output.values, kind=ACTIVATIONS)
    for layer, (_, (gating, loss, _)) in zip(layers, calls["gate"], strict=True):
        one_hot = np.eye(model.hparams.moe_num_experts)[gating.experts]
        gates = (gating.gates.numpy()[:, :, None] * one_hot).sum(1)
        # The encoder's losses are weighted outside of what the original recorded.
        weight = model.hparams.moe_loss_coef if layer.startswith("enc") else 1.0
        fixture.compare(f"act:{layer}_gates", gates, kind=GATES)
        fixture.compare(f"act:{layer}_load", gating.load, kind=GATES)
        fixture.compare(
            f"loss:{layer}_moe_loss_as_returned", loss / weight, kind=LOSSES
        )


@pytest.mark.parametrize("name", NAMES)
def test_logits_equal_the_original(name):
    fixture, _, _, output = _run(name)

    real = fixture["loss:weights"] > 0  # ours gives no logits at padding
    fixture.compare(
        "out:logits",
        output.outputs,
        kind="logits_relative_to_rms",
        mask=real.reshape(fixture["out:logits"].shape[:-1]),
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_equal_the_original(name, smoothing):
    fixture, _, features, output = _run(name)
    logits, targets = output.outputs, features["targets"]
    mask = tf.sequence_mask(features["targets_length"], targets.shape[1])

    summed = modality.smoothed_cross_entropy(logits, targets, mask, smoothing)
    losses = [
        modality.smoothed_cross_entropy(
            logits[row, None, i, None],
            targets[row, None, i, None],
            mask[row, None, i, None],
            smoothing,
        ).total
        for row, i in np.ndindex(*mask.shape)
    ]
    extra = tf.add_n(list(output.extra_losses.values()))

    fixture.compare(f"loss:xent_weighted_ls{smoothing}", losses, kind=LOSSES)
    fixture.compare(f"loss:numerator_ls{smoothing}", summed.total, kind=LOSSES)
    fixture.compare("loss:denominator", summed.weight, kind=LOSSES)
    fixture.compare("loss:weights", mask, kind=LOSSES)
    fixture.compare("loss:extra_loss", extra, kind=LOSSES)
    training = f"loss:training_loss_label_smoothing_{smoothing}"
    if training in fixture:
        fixture.compare(training, summed.total / summed.weight, kind=LOSSES)
