"""Whole models against the first release, array by array."""

import dataclasses

import multimodel_names
import numpy as np
import pytest
import tensorflow as tf

import goldens
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


def make_hparams(original):
    """Returns `multimodel_1p8` at the sizes of a golden model."""
    kernel_sizes = _numbers(original["kernel_scheme"])
    size, layers = original["hidden_size"], original["num_hidden_layers"]
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
    )


def _symbol(vocab_size):
    return FeatureSpec(
        modality="symbol", vocab_size=vocab_size, vocabulary=f"v{vocab_size}"
    )


def _spec(kind, vocab_size, array):
    return _symbol(vocab_size)


def _lengths(ids):
    return tf.constant((ids.reshape(len(ids), -1) != 0).sum(1), tf.int32)


def _build(fixture):
    (input_kind, input_size), (target_kind, target_size) = (
        fixture.entry[f"{role}_modality"] for role in ("input", "target")
    )
    specs = {
        "inputs": _spec(input_kind, input_size, fixture["in:inputs"]),
        "targets": _spec(target_kind, target_size, fixture["in:targets"]),
    }
    hparams = make_hparams(fixture.entry["hparams"])
    model = multimodel.MultiModel(hparams, {"golden": specs}, name="multimodel")
    rows = multimodel_names.body_rows(
        encoder_moe_after=hparams.encoder_moe_after,
        decoder_moe_after=hparams.decoder_moe_after,
    ) + multimodel_names.symbol_rows(hparams.hidden_size)
    original_names.assign(model, fixture.variables, rows)
    return model


def _features(fixture):
    inputs, targets = fixture["in:inputs"], fixture["in:targets"]
    return {
        "inputs": tf.constant(inputs.reshape(inputs.shape[:2])),
        "inputs_length": _lengths(inputs),
        "targets": tf.constant(targets.reshape(targets.shape[:2])),
        "targets_length": _lengths(targets),
        "target_space_id": tf.constant(int(fixture["in:target_space_id"])),
    }


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
        terms = modality.smoothed_cross_entropy(output.logits, targets, mask, smoothing)
        fixture.compare(
            f"loss:numerator_ls{smoothing}", terms.total, kind="losses_relative"
        )
        fixture.compare("loss:denominator", terms.weight, kind="losses_relative")
    extra = tf.add_n(list(output.extra_losses.values()))
    fixture.compare("loss:extra_loss", extra, kind="losses_relative")


@pytest.mark.parametrize("name", goldens.names("mm1p8_"))
def test_the_model_is_that_of_the_first_release(name, recorded):
    fixture = goldens.fixture(name)
    model, features = _build(fixture), _features(fixture)

    output = model(features, problem="golden")

    real = fixture["loss:weights"] > 0  # ours gives no logits at padding
    fixture.compare(
        "out:logits",
        output.logits,
        kind="logits_relative_to_rms",
        mask=real.reshape(fixture["out:logits"].shape[:-1]),
    )
    _compare_body(fixture, recorded)
    _compare_gates(fixture, recorded, model.hparams.moe_loss_coef)
    _compare_losses(fixture, output, features)
