"""Runs that are killed without warning, wherever they are, and started again."""

import dataclasses
import os
import signal
import time

import killed_runs
import numpy as np
import pytest
import tensorflow as tf

from t2t_mm import registry
from t2t_mm.runs import checkpoint_files
from t2t_mm.training import checkpoint, experiment, retention
from t2t_mm.training.run_config import RunConfig

PROBLEMS = ("copy_digits", "reverse_digits")
CONFIG = RunConfig(
    train_steps=130,
    eval_steps=1,
    eval_every_steps=5,
    save_every_steps=3,
    log_every_steps=2,
    keep_checkpoints=2,
    keep_best="copy_digits/accuracy, loss",
    eval_early_stopping_steps=1000,
    seed=5,
)
OF_TRANSFORMER = dict(
    batch_size=64,
    max_buckets=2,
    hidden_size=8,
    filter_size=8,
    num_heads=2,
    num_hidden_layers=1,
    dropout=0.1,
    learning_rate_warmup_steps=2,
    learning_rate_constant=0.01,
    # Everything that has a state of its own.
    mixing="adaptive",
    optimizer="lazy_adam",
    batches_per_update=2,
    problems_per_update=2,
    weight_decay=0.01,
    ema_decay=0.9,
)


def make_trainer(model, changes, config, data_dir, output_dir):
    registry.import_registrations()
    set_name = f"{model}_tiny"
    hparams = registry.HPARAMS.get(set_name)()
    return experiment.build(
        model_name=model,
        hparams_set=set_name,
        hparams=dataclasses.replace(hparams, **changes),
        problem_names=PROBLEMS,
        config=config,
        data_dir=data_dir,
        output_dir=output_dir,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("model", "count"), [("transformer", 20), ("multimodel", 8)])
def test_a_run_that_is_killed_many_times_ends_in_the_same_bits(
    model, count, small_hparams, digits_dir, tmp_path
):
    changes, config = OF_TRANSFORMER, CONFIG
    if model == "multimodel":
        changes = dataclasses.asdict(small_hparams)
        config = dataclasses.replace(CONFIG, train_steps=60)
    settings = (model, changes, config, digits_dir)
    whole, killed = str(tmp_path / "whole"), str(tmp_path / "killed")

    assert killed_runs.run(make_trainer, (*settings, whole)) == (0, None)
    for number, kill in enumerate(killed_runs.random_kills(count, seed=11), 1):
        status, place = killed_runs.run(make_trainer, (*settings, killed), kill)
        print(f"kill {number}: {kill} -> status {status}, at {place}", flush=True)
        assert status == -9
    assert killed_runs.run(make_trainer, (*settings, killed)) == (0, None)

    expected, found = killed_runs.contents(whole), killed_runs.contents(killed)
    assert found.keys() == expected.keys()
    assert len(expected["rows"]) > 2 * config.train_steps // 5
    assert any(name.startswith("best/loss/ckpt") for name in expected)
    for name, content in expected.items():
        assert found[name] == content, name


def make_checkpoints(folder):
    """Returns checkpoints of a million numbers, all of which are the step."""
    net = tf.Module()
    net.values = tf.Variable(tf.zeros([1000, 1000]))
    state = checkpoint.RunState(["copy"])
    checkpoints = checkpoint.Checkpoints(
        net, tf.Module(), state, folder, keep=retention.Retention(newest=2)
    )
    return checkpoints, state, net.values


def save_for_ever(folder):
    checkpoints, state, values = make_checkpoints(folder)
    checkpoints.restore_latest()
    while True:
        state.step += 1
        values.assign(tf.fill(values.shape, float(state.step)))
        checkpoints.save()


def newest_listed(folder):
    listed = checkpoint_files.read_list(folder).listed
    return listed[-1].step if listed else 0


@pytest.mark.slow
def test_what_is_listed_is_whole_whenever_the_writer_dies(tmp_path):
    folder, random = str(tmp_path), np.random.default_rng(7)
    for _ in range(25):
        before = newest_listed(folder)
        writer = killed_runs.start(save_for_ever, (folder,))
        while newest_listed(folder) < before + 2:
            assert writer.is_alive()
            time.sleep(0.01)
        time.sleep(random.exponential(0.05))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        listed = newest_listed(folder)

        checkpoints, state, values = make_checkpoints(folder)
        assert checkpoints.restore_latest()
        print(f"killed at step {listed}: {sorted(os.listdir(folder))}")
        assert state.step == listed >= before + 2
        assert np.all(values.numpy() == state.step)
        assert len(checkpoint_files.steps_on_disk(folder)) <= 4
