"""The trainer with hparams of optimisation and mixing away from their defaults."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf

from t2t_mm import registry
from t2t_mm.decoding import loading
from t2t_mm.features import Split
from t2t_mm.layers import initializers
from t2t_mm.runs import best_checkpoints, checkpoint_files
from t2t_mm.training import experiment, history
from t2t_mm.training.run_config import RunConfig

PROBLEMS = ("copy_digits", "reverse_digits")
CONFIG = RunConfig(
    train_steps=8,
    eval_steps=1,
    eval_every_steps=2,
    save_every_steps=3,
    log_every_steps=2,
    seed=5,
)


@pytest.fixture
def build(digits_dir, tmp_path):
    def build(folder="run", config=CONFIG, **changes):
        hparams = dataclasses.replace(
            registry.HPARAMS.get("transformer_tiny")(),
            **dict(
                batch_size=64,
                max_buckets=2,
                hidden_size=8,
                filter_size=8,
                num_heads=2,
                num_hidden_layers=1,
                dropout=0.1,
                learning_rate_warmup_steps=2,
                learning_rate_constant=0.01,
            )
            | changes,
        )
        return experiment.build(
            model_name="transformer",
            hparams_set="transformer_tiny",
            hparams=hparams,
            problem_names=PROBLEMS,
            config=config,
            data_dir=digits_dir,
            output_dir=str(tmp_path / folder),
        )

    return build


def _tensors(folder):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(folder)))
    keys = reader.get_variable_to_shape_map().keys()
    skipped = (
        "_CHECKPOINTABLE_OBJECT_GRAPH",
        "save_counter/.ATTRIBUTES/VARIABLE_VALUE",
    )
    return {key: reader.get_tensor(key) for key in keys - set(skipped)}


def test_a_resumed_run_repeats_every_kind_of_state(build, tmp_path):
    settings = dict(
        mixing="adaptive",
        optimizer="lazy_adam",
        batches_per_update=2,
        problems_per_update=2,
        problem_loss_weights="copy_digits:0.5",
        weight_decay=0.01,
        ema_decay=0.5,
    )
    trainer = build("whole", **settings)
    evaluate = trainer.evaluate

    def keep_what_a_killed_run_leaves(split):
        if trainer.state.step == 6:  # its checkpoint is written, and lacks this
            shutil.copytree(tmp_path / "whole", tmp_path / "parts")
        return evaluate(split)

    trainer.evaluate = keep_what_a_killed_run_leaves
    trainer.train_and_evaluate()

    resumed = build("parts", **settings)
    assert resumed.state.step == 6
    resumed.train_and_evaluate()

    whole, parts = _tensors(tmp_path / "whole"), _tensors(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert any(key.startswith("average/") for key in whole)
    assert resumed.state.dev_losses["copy_digits"].first > 0.0
    for key, value in whole.items():
        np.testing.assert_array_equal(value, parts[key], err_msg=key)
    assert _rows(tmp_path / "whole") == _rows(tmp_path / "parts")


def _rows(folder):
    rows = history.read(str(folder))
    return [{k: v for k, v in r.items() if k != "targets_per_second"} for r in rows]


def test_a_run_stops_early_and_keeps_its_best(build, tmp_path, monkeypatch):
    config = dataclasses.replace(
        CONFIG,
        train_steps=100,
        keep_best="copy_digits/loss, reverse_digits/loss:max",
        eval_early_stopping_steps=3,
        eval_early_stopping_metric="reverse_digits/loss",
        eval_early_stopping_metric_delta=1000.0,
        keep_checkpoints=1,
    )
    folder = str(tmp_path / "run")

    results = build(config=config).train_and_evaluate()

    rows = [row for row in history.read(folder) if row["split"] == Split.EVAL]
    assert [row["step"] for row in rows] == [2, 2, 4, 4, 6, 6]
    losses = {(row["problem"], row["step"]): row["loss"] for row in rows}
    lowest = best_checkpoints.read(folder, "copy_digits/loss")
    of_copy = [loss for (name, _), loss in losses.items() if name == "copy_digits"]
    assert lowest.value == losses["copy_digits", lowest.step] == min(of_copy)
    highest = best_checkpoints.read(folder, "reverse_digits/loss")
    of_reverse = [loss for (name, _), loss in losses.items() if name != "copy_digits"]
    assert highest.value == losses["reverse_digits", highest.step] == max(of_reverse)
    stored = tf.train.load_checkpoint(
        best_checkpoints.find(folder, "best:reverse_digits/loss")
    )
    assert stored.get_tensor("step/.ATTRIBUTES/VARIABLE_VALUE") == highest.step
    weights = stored.get_tensor("model/commands/.ATTRIBUTES/VARIABLE_VALUE")
    model = loading.load_model(folder, "best:reverse_digits/loss")
    np.testing.assert_array_equal(model.commands, weights)
    # The same command finds everything done.
    again = build(config=config)
    monkeypatch.setattr(again, "evaluate", None)
    assert again.train_and_evaluate() == results
    assert again.state.step == 6


def test_checkpoints_can_go_by_time(build, tmp_path):
    config = dataclasses.replace(
        CONFIG, train_steps=3, eval_every_steps=0, save_every_seconds=1e-6
    )

    build(config=config).train()

    assert checkpoint_files.steps_on_disk(str(tmp_path / "run")) == [1, 2, 3]


def test_metrics_that_do_not_exist_are_found_before_the_first_step(build):
    for field in ("keep_best", "eval_early_stopping_metric"):
        changes = {"eval_early_stopping_steps": 2, field: "copy_digits/acuracy"}

        with pytest.raises(ValueError, match=f"`{field}` must name .* 'copy_digits/ac"):
            build(config=dataclasses.replace(CONFIG, **changes))


def test_what_was_seen_is_counted_and_recorded(build, tmp_path):
    trainer = build(
        batches_per_update=2, mixing="step @0 copy_digits=1 @4 reverse_digits=1"
    )

    trainer.train_and_evaluate()

    counts = trainer.state.counts
    assert {name: c.steps for name, c in counts.items()} == dict.fromkeys(PROBLEMS, 4)
    assert {c.batches for c in counts.values()} == {8}
    rows = history.read(str(tmp_path / "run"))
    train = [row for row in rows if row["split"] == Split.TRAIN]
    assert {row["problem"] for row in train if row["step"] <= 4} == {"copy_digits"}
    assert train[-1]["steps_seen"] == 4
    assert train[-1]["examples_seen"] == counts["reverse_digits"].examples > 8
    assert train[-1]["targets_seen"] == counts["reverse_digits"].targets > 40
    assert all(row["steps_skipped"] == 0 for row in train)
    evaluated = [row for row in rows if row["split"] == Split.EVAL]
    for row in evaluated:
        np.testing.assert_allclose(row["loss"], -row["neg_log_perplexity"], rtol=1e-6)


def test_skipped_steps_are_counted_and_too_many_stop_the_run(build, tmp_path, caplog):
    config = dataclasses.replace(CONFIG, max_skipped_steps=3)
    mixing = "step @0 reverse_digits=1 @2 copy_digits=1"
    trainer = build(config=config, mixing=mixing)
    trainer._train_until(2)
    good = trainer.model.commands.numpy()
    trainer.model.commands.assign(tf.fill(good.shape, np.nan))

    trainer._train_until(4)
    trainer.model.commands.assign(good)
    trainer._train_until(5)

    counts = trainer.state.counts["copy_digits"]
    assert (counts.skipped, counts.skipped_in_a_row, counts.steps) == (2, 0, 1)
    assert "Step 4 on copy_digits was not finite" in caplog.text
    assert "number 2 in a row and 2 in all" in caplog.text
    skipped = history.read(str(tmp_path / "run"))[-2]
    assert (skipped["steps_skipped"], "loss" in skipped) == (2, False)
    trainer.model.commands.assign(tf.fill(good.shape, np.nan))
    with pytest.raises(FloatingPointError, match=r"Step 9 on copy_digits .*\n?.*\(3\)"):
        trainer._train_until(10)


def test_evaluation_and_decoding_use_the_average(build, tmp_path):
    config = dataclasses.replace(CONFIG, train_steps=3, eval_every_steps=0)
    trainer = build(config=config, ema_decay=0.9)
    results = trainer.train_and_evaluate()

    last = {v.name: v.numpy() for v in trainer.model.trainable_variables}
    model = loading.load_model(str(tmp_path / "run"))

    tensors = _tensors(tmp_path / "run")
    for variable in model.trainable_variables:
        name = initializers.key(variable).replace(".", "..")
        average = tensors[f"average/averages/{name}/.ATTRIBUTES/VARIABLE_VALUE"]
        np.testing.assert_array_equal(variable, average)
    assert not np.array_equal(model.commands, last[model.commands.name])
    again = trainer._evaluator.evaluate(Split.EVAL)
    assert again["copy_digits"]["loss"] != results["copy_digits"]["loss"]


def test_sizes_of_batches_may_differ_by_problem(build):
    trainer = build(problem_batch_sizes="reverse_digits:32")

    usual, smaller = (
        max(bucket.batch_size for bucket in source.batches._batches.shapes())
        for source in map(trainer._sources.get, PROBLEMS)
    )
    assert usual == 2 * smaller


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(problem_loss_weights="copy:2"), "got 'copy'. Did you mean 'copy_digits'"),
        (dict(problem_batch_sizes="x:2"), "`problem_batch_sizes` must name problems"),
        (dict(problem_batch_sizes="copy_digits:0"), "`batch_size` must be at least 1"),
        (dict(problem_batch_sizes="copy_digits:1.5"), "must be of type int; got 1.5"),
        (dict(problem_learning_rates="x:2"), "`problem_learning_rates` must name"),
        (dict(learning_rate_factors="*:0"), "must leave a variable to train"),
        (dict(learning_rate_factors="encoders/*:0"), "'encoders/\\*' matches none"),
    ],
)
def test_settings_that_do_not_fit_are_found_before_the_first_step(
    build, changes, message
):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_adaptive_mixing_needs_evaluations(build):
    config = dataclasses.replace(CONFIG, eval_every_steps=0)

    with pytest.raises(
        ValueError, match="`eval_every_steps` must be at least 1; got 0"
    ):
        build(config=config, mixing="adaptive")


def test_learning_rates_of_problems_and_variables_reach_the_update(build, tmp_path):
    trainer = build(
        config=dataclasses.replace(CONFIG, train_steps=2, eval_every_steps=0),
        problem_learning_rates="copy_digits:0",
        learning_rate_factors="encoder*:0",
        mixing="step @0 copy_digits=1 @1 reverse_digits=1",
    )
    before = {v.name: v.numpy() for v in trainer.model.trainable_variables}

    def changed():
        variables = trainer.model.trainable_variables
        return {v.name for v in variables if not np.array_equal(v, before[v.name])}

    trainer._train_until(1)
    assert not changed()
    trainer._train_until(2)
    names = changed()

    assert names
    assert not any("encoder" in name for name in names)
    rates = [row["learning_rate"] for row in history.read(str(tmp_path / "run"))]
    assert rates[0] == 0.0 < rates[1]


def test_a_run_that_goes_on_from_a_last_step_that_was_not_due_is_the_same(
    build, tmp_path
):
    settings = dict(mixing="adaptive", learning_rate_schedule="constant")
    config = dataclasses.replace(CONFIG, train_steps=6, eval_early_stopping_steps=100)
    build("whole", config, **settings).train_and_evaluate()
    shorter = dataclasses.replace(config, train_steps=3)

    build("parts", shorter, **settings).train_and_evaluate()
    resumed = build("parts", config, **settings)
    resumed.train_and_evaluate()

    whole, parts = _tensors(tmp_path / "whole"), _tensors(tmp_path / "parts")
    for key, value in whole.items():
        np.testing.assert_array_equal(value, parts[key], err_msg=key)
    evaluated = {
        folder: {r["step"] for r in _rows(tmp_path / folder) if r["split"] == "dev"}
        for folder in ("whole", "parts")
    }
    assert evaluated == {"whole": {2, 4, 6}, "parts": {2, 3, 4, 6}}
