"""How many programs training compiles, and with which precision they learn."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from t2t_mm import registry
from t2t_mm.features import Split
from t2t_mm.training import experiment, history, programs, strategies
from t2t_mm.training.run_config import RunConfig

PROBLEMS = ("copy_digits", "reverse_digits")
CONFIG = RunConfig(
    train_steps=8,
    eval_steps=1,
    eval_every_steps=0,
    save_every_steps=1000,
    log_every_steps=5,
    seed=5,
)
SIZES = dict(
    batch_size=64,
    max_buckets=2,
    hidden_size=8,
    filter_size=8,
    num_heads=2,
    num_hidden_layers=1,
    learning_rate_warmup_steps=2,
    learning_rate_constant=0.01,
)


def _build(
    digits_dir,
    output_dir,
    *,
    problems=PROBLEMS,
    config=None,
    distribution=None,
    **changes,
):
    tiny = registry.HPARAMS.get("transformer_tiny")()
    return experiment.build(
        model_name="transformer",
        hparams_set="transformer_tiny",
        hparams=dataclasses.replace(tiny, **SIZES | changes),
        problem_names=problems,
        config=dataclasses.replace(CONFIG, **config or {}),
        data_dir=digits_dir,
        output_dir=str(output_dir),
        distribution=distribution,
    )


def _traces(trainer):
    made = trainer._updates
    programs = [made._merge, made._join, made._sum, made._apply_mean]
    return [
        program.experimental_get_tracing_count()
        for program in [*made.compiled.values(), *programs]
    ]


@pytest.mark.parametrize(
    ("jit_compile", "at_once"),
    [
        (False, 1),
        pytest.param(False, 2, marks=pytest.mark.slow),
        pytest.param(True, 1, marks=pytest.mark.slow),
    ],
)
def test_nothing_is_traced_after_the_first_epoch(
    digits_dir, tmp_path, jit_compile, at_once
):
    trainer = _build(
        digits_dir,
        tmp_path,
        config=dict(jit_compile=jit_compile),
        batches_per_update=at_once,
        problems_per_update=at_once,
    )
    batches = [source.batches._batches for source in trainer._sources.values()]
    an_epoch = sum(b.batches_per_epoch for b in batches) // at_once**2
    shapes = {(b.inputs_length, b.targets_length) for b in batches[0].shapes()}
    assert len(shapes) == 2

    trainer._train_until(2 * an_epoch)  # all shapes of both, drawn by chance
    traced = _traces(trainer)
    trainer._train_until(4 * an_epoch)

    assert _traces(trainer) == traced
    # Both problems have the same graph.
    assert traced[0] == (len(shapes) if jit_compile else 1)


def test_too_many_programs_are_warned_of(digits_dir, tmp_path, monkeypatch):
    lines, warnings = [], []
    monkeypatch.setattr(logging, "info", lambda text, *v: lines.append(text % v))
    monkeypatch.setattr(logging, "warning", lambda text, *v: warnings.append(text % v))
    monkeypatch.setattr(programs, "MOST", 1)

    _build(digits_dir, tmp_path, config=dict(jit_compile=True))

    assert any(line.startswith("programs | 2 for 2 problems") for line in lines)
    (warning,) = warnings
    assert "lower `max_buckets` (2)" in warning


@pytest.mark.parametrize("given", [None, True, False])
def test_compilation_is_chosen_by_the_device_unless_it_is_given(
    given, digits_dir, tmp_path
):
    trainer = _build(digits_dir, tmp_path, config=dict(jit_compile=given))

    has_gpu = bool(tf.config.list_logical_devices("GPU"))
    assert trainer._config.jit_compile == (has_gpu if given is None else given)


def test_a_bias_that_balances_experts_is_refused_on_several_replicas(
    digits_dir, tmp_path
):
    with pytest.raises(ValueError, match="`moe_balance` 'bias'.*there are 2"):
        _build(
            digits_dir,
            tmp_path,
            distribution=strategies.make_distribution("mirrored", 2),
            moe_num_experts=2,
            moe_layers=(0,),
            moe_k=1,
            moe_router="softmax",
            moe_balance="bias",
        )


@pytest.mark.slow
def test_bfloat16_learns_as_well_as_float32(digits_dir, tmp_path):
    losses = {}
    for dtype in ("float32", "bfloat16"):
        trainer = _build(
            digits_dir,
            tmp_path / dtype,
            problems=PROBLEMS[:1],
            activation_dtype=dtype,
            dropout=0.0,
        )
        for step in (10, 20, 40):
            trainer._train_until(step)
        rows = history.read(str(tmp_path / dtype))
        losses[dtype] = [row["loss"] for row in rows if row["split"] == Split.TRAIN]
        assert all(v.dtype != tf.bfloat16 for v in trainer.model.variables)

    for of_dtype in losses.values():
        assert of_dtype[-1] < 0.95 * of_dtype[0]  # the beginning of a run
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], rtol=0.02)
    assert losses["bfloat16"] != losses["float32"]
