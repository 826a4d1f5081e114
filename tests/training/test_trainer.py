import dataclasses
import os
import re
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from t2t_mm import registry
from t2t_mm.features import Split
from t2t_mm.training import experiment, history
from t2t_mm.training.run_config import RunConfig

PROBLEMS = ("copy_digits", "reverse_digits")
CONFIG = RunConfig(
    train_steps=8,
    eval_steps=1,
    eval_every_steps=0,
    save_every_steps=3,
    log_every_steps=2,
    seed=5,
)


def build(small_hparams, digits_dir, output_dir, config=CONFIG, **changes):
    arguments = {
        "model_name": "multimodel",
        "hparams_set": "multimodel_tiny",
        "hparams": small_hparams,
        "problem_names": PROBLEMS,
        "config": config,
        "data_dir": digits_dir,
        "output_dir": str(output_dir),
    }
    return experiment.build(**{**arguments, **changes})


def build_smallest(smallest_hparams, digits_dir, output_dir, config=CONFIG, **changes):
    """For what every model does alike."""
    transformer = {"model_name": "transformer", "hparams_set": "transformer_tiny"}
    return build(
        smallest_hparams, digits_dir, output_dir, config, **transformer | changes
    )


def tensors(output_dir):
    """Returns every number of the newest checkpoint, by key."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(output_dir)))
    return {
        key: reader.get_tensor(key)
        for key in reader.get_variable_to_shape_map()
        if key
        not in (
            "_CHECKPOINTABLE_OBJECT_GRAPH",
            "save_counter/.ATTRIBUTES/VARIABLE_VALUE",
        )
    }


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    small_hparams, digits_dir, tmp_path
):
    whole = build(small_hparams, digits_dir, tmp_path / "whole")
    whole._train_until(5)
    whole._checkpoints.save()
    whole._train_until(7)
    # What is left of a run that dies here, two steps after its last checkpoint.
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    whole.train()

    resumed = build(small_hparams, digits_dir, tmp_path / "parts")
    assert resumed.state.step == 5
    resumed.train()

    whole, parts = tensors(tmp_path / "whole"), tensors(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert whole["step/.ATTRIBUTES/VARIABLE_VALUE"] == CONFIG.train_steps
    assert len(whole) > 100
    for key, value in whole.items():
        np.testing.assert_array_equal(value, parts[key], err_msg=key)


@pytest.mark.slow
def test_the_same_seed_repeats_a_run_and_another_does_not(
    small_hparams, digits_dir, tmp_path
):
    config = dataclasses.replace(CONFIG, train_steps=2)
    other = dataclasses.replace(config, seed=6)
    for name, chosen in (("a", config), ("b", config), ("c", other)):
        build(small_hparams, digits_dir, tmp_path / name, chosen).train_and_evaluate()

    first, same, different = (tensors(tmp_path / name) for name in "abc")
    assert all(np.array_equal(first[key], same[key]) for key in first)
    assert any(not np.array_equal(first[key], different[key]) for key in first)


def test_sigterm_saves_and_stops_after_the_step_at_hand(
    smallest_hparams, digits_dir, tmp_path
):
    trainer = build_smallest(smallest_hparams, digits_dir, tmp_path)
    take_steps = trainer._stepper.steps

    def take_steps_and_get_killed(most):
        if trainer.state.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return take_steps(most)

    trainer._stepper.steps = take_steps_and_get_killed
    results = trainer.train_and_evaluate()

    assert results == {}
    assert trainer.stopped
    assert tf.train.latest_checkpoint(str(tmp_path)).endswith("ckpt-2")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_loss_that_is_not_finite_names_problem_and_step(
    smallest_hparams, digits_dir, tmp_path
):
    strict = dataclasses.replace(CONFIG, max_skipped_steps=0)
    trainer = build_smallest(smallest_hparams, digits_dir, tmp_path, strict)
    trainer.model.commands.assign(tf.fill(trainer.model.commands.shape, np.nan))

    with pytest.raises(FloatingPointError, match=r"Step 1 on (copy|reverse)_digits"):
        trainer.train_and_evaluate()


def test_training_learns_and_records_what_it_did(small_hparams, digits_dir, tmp_path):
    config = dataclasses.replace(
        CONFIG, train_steps=40, eval_every_steps=20, save_every_steps=40
    )
    calm = dataclasses.replace(small_hparams, dropout=0.0)

    results = build(
        calm, digits_dir, tmp_path, config, problem_names=PROBLEMS[:1]
    ).train_and_evaluate()

    rows = history.read(str(tmp_path))
    losses = [row["loss"] for row in rows if row["split"] == Split.TRAIN]
    assert np.mean(losses[-6:]) < 0.75 * np.mean(losses[:2])
    evaluated = {row["step"] for row in rows if row["split"] == Split.EVAL}
    assert evaluated == {20, 40}
    assert results.keys() == {"copy_digits"}
    for scores in results.values():
        assert 0.0 <= scores["accuracy"] <= 1.0
        assert scores["neg_log_perplexity"] < 0.0
        for shares in scores["expert_load"].values():
            np.testing.assert_allclose(np.sum(shares), 1.0, rtol=1e-6)
        for entropy in scores["gate_entropy"].values():
            assert 0.0 < entropy <= np.log(small_hparams.moe_num_experts) + 1e-6


@pytest.mark.slow
def test_choices_without_room_are_recorded(
    small_hparams, digits_dir, tmp_path, monkeypatch
):
    lines = []
    monkeypatch.setattr(logging, "info", lambda text, *v: lines.append(text % v))
    lopsided = dataclasses.replace(small_hparams, moe_k=1, moe_capacity_factor=1.0)
    trainer = build(lopsided, digits_dir, tmp_path)
    for block in (trainer.model.encoder_experts, trainer.model.decoder_experts):
        kernel = block.feed_forward.net.gate.kernel
        kernel.assign(50.0 * tf.random.stateless_normal(kernel.shape, [1, 2]))

    trainer.train_and_evaluate()

    rows = history.read(str(tmp_path))
    dropped = [row["drop_rate"] for row in rows if row["split"] == Split.TRAIN]
    assert all(0.0 <= rate < 1.0 for rate in dropped)
    assert max(dropped) > 0.0
    lines = [line for line in lines if line.startswith("train | step")]
    assert any(re.search(r" \| drop_rate 0\.\d+ \| ", line) for line in lines)


@pytest.mark.slow
def test_a_model_without_experts_trains(digits_dir, tmp_path):
    hparams = dataclasses.replace(
        registry.HPARAMS.get("transformer_tiny")(),
        batch_size=128,
        max_buckets=2,
        hidden_size=16,
        filter_size=24,
        num_heads=2,
    )
    trainer = build(
        hparams,
        digits_dir,
        tmp_path,
        dataclasses.replace(CONFIG, train_steps=2),
        model_name="transformer",
        hparams_set="transformer_tiny",
    )

    trainer.train_and_evaluate()

    train, *_ = history.read(str(tmp_path))
    assert train["extra_loss"] == 0.0


def test_one_step_is_compiled_for_problems_with_the_same_graph(
    smallest_hparams, digits_dir, tmp_path
):
    trainer = build_smallest(smallest_hparams, digits_dir, tmp_path)
    trainer.train_and_evaluate()

    assert len(trainer._updates.compiled) == 1
    (step,) = trainer._updates.compiled.values()
    assert step.experimental_get_tracing_count() == 1


def test_a_resumed_record_drops_what_lies_after_the_checkpoint(tmp_path):
    first = history.History(str(tmp_path), first_step=0)
    for step in (10, 20, 30):
        first.write(step, "copy_digits", Split.TRAIN, {"loss": 1.0 / step})

    history.History(str(tmp_path), first_step=20)

    assert [row["step"] for row in history.read(str(tmp_path))] == [10, 20]


def test_another_model_in_the_folder_is_refused_with_the_differences(
    smallest_hparams, digits_dir, tmp_path
):
    config = dataclasses.replace(CONFIG, train_steps=1)
    build_smallest(smallest_hparams, digits_dir, tmp_path, config).train_and_evaluate()
    wider = dataclasses.replace(smallest_hparams, filter_size=14)

    with pytest.raises(ValueError, match=r"filter_size: 12 -> 14") as raised:
        build_smallest(wider, digits_dir, tmp_path, problem_names=PROBLEMS[:1])

    assert "choose another --output_dir" in str(raised.value)


def test_a_folder_without_checkpoints_may_be_used_again(
    smallest_hparams, digits_dir, tmp_path
):
    build_smallest(smallest_hparams, digits_dir, tmp_path)
    wider = dataclasses.replace(smallest_hparams, filter_size=14)

    trainer = build_smallest(wider, digits_dir, tmp_path)

    assert trainer.state.step == 0


def test_missing_data_names_the_command_that_makes_it(small_hparams, tmp_path):
    with pytest.raises(FileNotFoundError, match="t2t-datagen --problem=copy_digits"):
        build(small_hparams, str(tmp_path), tmp_path / "run")
