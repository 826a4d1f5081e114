"""Whole models against the first release, array by array."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import goldens
import modality_names
import multimodel_names
import original_names
from t2t_mm import modality, registry
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import moe
from t2t_mm.models import multimodel
from t2t_mm.models import multimodel_attention as attention

registry.import_registrations()
registry.import_models()


def _numbers(scheme):
    return tuple(int(number) for number in scheme.split("."))


# What the original calls a kind of data, and what we make of it.
NETS = {
    "symbol": ("symbol", {}),
    "image": ("image", {}),
    "image:small_image_modality": ("image", dict(image_net="small")),
    "audio": ("audio", dict(audio_pad_to_stride=False)),
    "audio:audio_spectral_modality": (
        "audio_spectral",
        dict(audio_pad_to_stride=False),
    ),
    "class_label": ("class_label", dict(class_label_net="release_1d")),
    "class_label:class_label_2d": ("class_label", dict(class_label_net="release")),
}


def make_hparams(original, **changes):
    """Returns `multimodel_1p8` at the sizes of a golden model."""
    kernel_sizes = _numbers(original["kernel_scheme"])
    size, layers = original["hidden_size"], original["num_hidden_layers"]
    compression = original["audio_compression"]
    return dataclasses.replace(
        registry.HPARAMS.get("multimodel_1p8")(),
        hidden_size=size,
        num_heads=1,
        kernel_sizes=kernel_sizes,
        dilation_rates=_numbers(original["dilation_scheme"]),
        separabilities=multimodel_names.separabilities(
            original["separability"], len(kernel_sizes)
        ),
        attention_type=original["attention_type"],
        num_encoder_blocks=layers // 2 + layers,
        encoder_moe_after=layers // 2,
        num_decoder_blocks=2 * (layers // 2),
        decoder_moe_after=layers // 2,
        moe_num_experts=original["moe_n1"],
        moe_k=original["moe_k"],
        moe_filter_size=size,
        moe_loss_coef=original["moe_loss_coef"],
        moe_route_padding=True,
        shared_embedding_and_softmax_weights=bool(
            original["shared_embedding_and_softmax_weights"]
        ),
        label_smoothing=original["label_smoothing"],
        audio_filters=tuple(2 ** (i + 1) for i in range(compression)),
        audio_time_stride=2 ** (compression + 1),
        class_label_filters=(5 * size // 4, 2 * size, 5 * size // 2),
        class_label_count_padding=True,
        **changes,
    )


def _spec(modality_name, vocab_size, array):
    shape = (None,)
    if modality_name == "image":
        shape = array.shape[1:]
    elif modality_name.startswith("audio"):
        shape = (None, *array.shape[2:])
    elif modality_name == "class_label":
        shape = (1,)
    return FeatureSpec(
        modality=modality_name,
        vocab_size=vocab_size,
        vocabulary=f"v{vocab_size}" if vocab_size else None,
        shape=shape,
    )


def _net_rows(kind, vocab_size, original):
    """Returns rows of the net that a kind of data has in the original."""
    size, blocks = original["hidden_size"], original["audio_compression"]
    if kind == "symbol":
        return multimodel_names.symbol_rows(size)
    name, _ = NETS[kind]
    if name == "class_label":
        scope = "/".join([f"class_label_modality_{vocab_size}_{size}"] * 2)
        return modality_names.exit_flow(r"class_label_v\d+_\d+/", scope)
    net = kind.partition(":")[2]
    ours, scope = rf"{name}_\d+/", "/".join([net or f"{name}_modality"] * 2)
    if name == "image":
        flow = modality_names.small_image if net else modality_names.entry_flow
        return flow(ours, scope)
    return modality_names.audio(ours, scope, compression=blocks)


def _build(fixture):
    original = fixture.entry["hparams"]
    specs, changes, rows = {}, {}, {}
    for role in ("inputs", "targets"):
        kind, vocab_size = fixture.entry[f"{role[:-1]}_modality"]
        name, of_net = NETS[kind]
        specs[role] = _spec(name, vocab_size, fixture[f"in:{role}"])
        changes |= of_net
        rows[kind] = _net_rows(kind, vocab_size, original)
    if changes.get("image_net") == "small":
        changes["image_stem_stride"] = 2 if original["compress_steps"] else 1
    hparams = make_hparams(original, **changes)
    model = multimodel.MultiModel(hparams, {"golden": specs}, name="multimodel")
    rows["body"] = multimodel_names.body_rows(
        encoder_moe_after=hparams.encoder_moe_after,
        decoder_moe_after=hparams.decoder_moe_after,
    )
    decodes = model.is_autoregressive("golden")
    original_names.assign(
        model,
        fixture.variables,
        [row for part in rows.values() for row in part],
        ignored=modality_names.UNUSED_IN_EXIT_FLOW,
        absent=() if decodes else ("mixer_", "decoder_"),
    )
    return model


def _features(fixture, model):
    """Returns a batch as our pipeline would make it."""
    features = {"target_space_id": tf.constant(int(fixture["in:target_space_id"]))}
    for role, spec in model.problems["golden"].items():
        array = fixture[f"in:{role}"]
        if spec.modality == "audio_spectral":
            array = array.view(np.float32)  # the original keeps the bits as int32
        if spec.modality in ("symbol", "class_label"):
            array = array[:, :, 0, 0]
        lengths = np.full(len(array), array.shape[1] if spec.shape[0] is None else 1)
        if spec.modality == "symbol":
            lengths = (array != 0).sum(1)
        features[role] = tf.constant(array)
        features[f"{role}_length"] = tf.constant(lengths, tf.int32)
    return features


@pytest.fixture
def recorded(monkeypatch):
    """Collects what the parts of the body return, by part, in the order of calls."""
    calls = {}

    def record(owner, name, key):
        calls[key], function = [], getattr(owner, name)

        def recording(*args, **kwargs):
            output = function(*args, **kwargs)
            calls[key].append(output)
            return output

        monkeypatch.setattr(owner, name, recording)

    record(multimodel.MultiModel, "_run_stack", "encoder")
    record(multimodel.MultiModel, "_run_mixer", "mixer")
    record(multimodel.MultiModel, "_run_layers", "decoder")
    record(attention.AttentionBlock, "__call__", "attention")
    record(moe.Gate, "__call__", "gate")
    record(multimodel.blocks.ExpertBlock, "__call__", "experts")
    return calls


def _compare_bottoms(fixture, model, features):
    """Compares what the nets make of inputs, and of targets that are fed back."""
    kind = "activations_relative_to_rms"
    inputs = model._modality("golden", "inputs")
    embedded = inputs.bottom(features["inputs"], features["inputs_length"])
    fixture.compare("act:bottom_inputs", embedded.values, kind=kind)
    if model.is_autoregressive("golden"):
        targets = model.target_modality("golden").targets_bottom(features["targets"])
        fixture.compare("act:bottom_targets", targets, kind=kind)


def _compare_body(fixture, calls):
    kind = "activations_relative_to_rms"
    for i, name in enumerate(("encoder1_out", "encoder2_out")):
        fixture.compare(f"act:{name}", calls["encoder"][i], kind=kind)
    for i, attended in enumerate(calls["attention"]):
        suffix = f"#{i}" if i else ""
        fixture.compare(f"act:attention_out{suffix}", attended, kind=kind)
    if calls["mixer"]:
        fixture.compare("act:mixer_out", calls["mixer"][0], kind=kind)
    for i, x in enumerate(calls["decoder"]):
        fixture.compare(f"act:decoder{i + 1}_out", x, kind=kind)
    for part, output in zip(("enc", "dec"), calls["experts"], strict=False):
        fixture.compare(f"act:experts_{part}_out", output.values, kind=kind)


def _compare_gates(fixture, calls, loss_coef):
    for part, (gating, loss, _) in zip(("enc", "dec"), calls["gate"], strict=False):
        one_hot = np.eye(gating.load.shape[0])[gating.experts]
        gates = (gating.gates.numpy()[:, :, None] * one_hot).sum(1)
        fixture.compare(
            f"act:experts_{part}_gates", gates, kind="gates_and_load_absolute"
        )
        fixture.compare(
            f"act:experts_{part}_load", gating.load, kind="gates_and_load_absolute"
        )
        fixture.compare(
            f"loss:experts_{part}_cv2_sum", loss / loss_coef, kind="losses_relative"
        )


def _compare_losses(fixture, output, features):
    targets = features["targets"]
    mask = tf.sequence_mask(features["targets_length"], targets.shape[1])
    for smoothing in (0.0, 0.1):
        terms = modality.smoothed_cross_entropy(
            output.outputs, targets, mask, smoothing
        )
        fixture.compare(
            f"loss:numerator_ls{smoothing}", terms.total, kind="losses_relative"
        )
        fixture.compare("loss:denominator", terms.weight, kind="losses_relative")
        key = f"loss:training_loss_label_smoothing_{smoothing}"
        if key in fixture:
            fixture.compare(key, terms.total / terms.weight, kind="losses_relative")
    extra = tf.add_n(list(output.extra_losses.values()))
    fixture.compare("loss:extra_loss", extra, kind="losses_relative")


@pytest.mark.parametrize("name", goldens.names("mm1p8_"))
def test_the_model_is_that_of_the_first_release(name, recorded):
    fixture = goldens.fixture(name)
    model = _build(fixture)
    features = _features(fixture, model)

    output = model(features, problem="golden")

    real = fixture["loss:weights"] > 0  # ours gives no logits at padding
    fixture.compare(
        "out:logits",
        output.outputs,
        kind="logits_relative_to_rms",
        mask=real.reshape(fixture["out:logits"].shape[:-1]),
    )
    _compare_bottoms(fixture, model, features)
    _compare_body(fixture, recorded)
    _compare_gates(fixture, recorded, model.hparams.moe_loss_coef)
    _compare_losses(fixture, output, features)
