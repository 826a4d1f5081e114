"""Runs that begin with the weights of others, or whose problems change."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

import stored_runs
from t2t_mm.runs import checkpoint_choice, run_folder
from t2t_mm.training import experiment, stored_checkpoint, warm_start_report
from t2t_mm.training.run_config import RunConfig
from t2t_mm.training.warm_start_config import WarmStartConfig

CONFIG = RunConfig(
    train_steps=2, eval_steps=1, eval_every_steps=0, save_every_steps=1, seed=5
)
COPY, REVERSE = "copy_digits", "reverse_digits"


@pytest.fixture
def build(digits_dir):
    """Builds the trainer of a run."""

    def build_trainer(output_dir, problem_names, hparams=None, **settings):
        sizes = {"batch_size": 64, "max_buckets": 1}
        trainer = experiment.build(
            model_name="transformer",
            hparams_set="transformer_tiny",
            hparams=stored_runs.small_hparams(**sizes, **(hparams or {})),
            problem_names=problem_names,
            data_dir=digits_dir,
            output_dir=str(output_dir),
            **{"config": CONFIG, **settings},
        )
        return trainer

    return build_trainer


def train(trainer, until):
    """Trains up to a step and saves; returns what was seen of every problem."""
    trainer._train_until(until)
    trainer._checkpoints.save()
    return {name: dataclasses.replace(c) for name, c in trainer.state.counts.items()}


def train_by_hand(trainer):
    """Pretends that a step was made."""
    for variable in trainer.model.variables:
        variable.assign_add(tf.ones_like(variable))
    trainer.state.step = 1
    trainer._checkpoints.save()


@pytest.fixture
def log(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "info", lambda text, *v: lines.append(text % v))
    return lines


def stored(output_dir):
    return stored_checkpoint.StoredCheckpoint(checkpoint_choice.newest(str(output_dir)))


def test_a_problem_comes_and_another_goes(build, tmp_path, log):
    def mixing(text):
        return {"mixing": text}

    train(build(tmp_path, [COPY], mixing(f"{COPY}:1")), 2)
    both = build(tmp_path, [COPY, REVERSE], mixing(f"{COPY}:1,{REVERSE}:3"))
    assert both.state.counts[COPY].batches == 2
    assert both.state.counts[REVERSE].batches == 0
    seen = train(both, 6)
    last = train(build(tmp_path, [REVERSE], mixing(f"{REVERSE}:1")), 8)
    again = build(tmp_path, [REVERSE, COPY], mixing(f"{COPY}:1,{REVERSE}:3"))

    assert seen[REVERSE].batches > 0
    assert seen[COPY].batches + seen[REVERSE].batches == 6
    assert last[COPY] == again.state.counts[COPY] == seen[COPY]
    assert last[REVERSE].batches == seen[REVERSE].batches + 2
    assert again.state.step == 8
    description = run_folder.read(str(tmp_path))
    assert description.trained == [COPY, REVERSE]
    assert [sorted(event) for event in description.history] == [
        ["added", "hparams", "step"],
        ["hparams", "removed", "step"],
        ["hparams", "returned", "step"],
    ]
    assert [event["step"] for event in description.history] == [2, 6, 8]
    assert any(line.startswith(f"added | step 2 | {REVERSE}") for line in log)
    assert any(line.startswith(f"removed | step 6 | {COPY}") for line in log)


def test_a_retired_problem_need_not_be_there_to_decode_others(build, tmp_path):
    trainer = build(tmp_path, [COPY])
    description = run_folder.read(str(tmp_path))
    specs = description.problems[COPY]
    retired = dataclasses.replace(
        description, problems={COPY: specs, "gone": specs}, retired=("gone",)
    )
    run_folder.write(retired, str(tmp_path))
    trainer._checkpoints.save()

    again = build(tmp_path, [COPY], config=dataclasses.replace(CONFIG, eval_decode=1))

    assert again.model.problems.keys() == {COPY, "gone"}
    assert again._evaluator.metric_names.keys() == {COPY}


def test_a_run_begins_with_the_weights_of_another_once(build, tmp_path, log):
    train_by_hand(build(tmp_path / "old", [COPY]))
    start = WarmStartConfig(path=str(tmp_path / "old"), optimizer=True, step=True)

    new = build(tmp_path / "new", [REVERSE], warm_start=start)
    old, begun = stored(tmp_path / "old"), stored(tmp_path / "new")
    build(tmp_path / "new", [REVERSE], warm_start=start)

    assert new.state.step == begun.step == 1
    assert begun.weights.keys() == old.weights.keys()
    for variable in new.model.variables:
        name = stored_checkpoint.inner_name(variable)
        np.testing.assert_array_equal(variable, old.read(old.weights[name]))
        np.testing.assert_array_equal(variable, begun.read(begun.weights[name]))
    assert sum("is not repeated" in line for line in log) == 1
    (event,) = run_folder.read(str(tmp_path / "new")).history
    assert event["warm_start"] == str(tmp_path / "old")
    report = tmp_path / "new" / warm_start_report.REPORT_FILE
    assert json.loads(report.read_text())["path"].endswith("old/ckpt-1")


def test_a_warm_start_that_would_have_no_effect_is_refused(build, tmp_path):
    train_by_hand(build(tmp_path / "run", [COPY]))
    start = WarmStartConfig(path=str(tmp_path / "other"))

    with pytest.raises(ValueError, match="it began with initial values and has check"):
        build(tmp_path / "run", [COPY], warm_start=start)


def test_weights_alone_cannot_go_on(build, tmp_path):
    train_by_hand(build(tmp_path / "run", [COPY]))
    description = run_folder.read(str(tmp_path / "run"))
    bare = dataclasses.replace(description, weights_only=True)
    run_folder.write(bare, str(tmp_path / "run"))

    with pytest.raises(ValueError, match="has weights only. Start a new run from it"):
        build(tmp_path / "run", [COPY])
