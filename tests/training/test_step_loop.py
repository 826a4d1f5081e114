"""Steps that are made in one call are the steps that are made one by one."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.training import experiment, history, strategies
from t2t_mm.training.run_config import RunConfig

PROBLEMS = ("copy_digits", "reverse_digits")
CONFIG = RunConfig(
    train_steps=11,
    eval_steps=1,
    eval_every_steps=6,
    save_every_steps=1000,
    log_every_steps=4,
    show_samples=0,
    seed=5,
)


@pytest.fixture
def build(smallest_hparams, digits_dir, tmp_path):
    def build(name, steps_per_loop, *, num_devices=1, hparams=None, **changes):
        strategy = "mirrored" if num_devices > 1 else "one"
        return experiment.build(
            model_name="transformer",
            hparams_set="transformer_tiny",
            hparams=dataclasses.replace(
                smallest_hparams,
                **{"mixing": "copy_digits:2,reverse_digits:1", "ema_decay": 0.9}
                | {"problem_learning_rates": "reverse_digits:0.5"}
                | (hparams or {}),
            ),
            problem_names=PROBLEMS,
            config=dataclasses.replace(
                CONFIG, steps_per_loop=steps_per_loop, **changes
            ),
            data_dir=digits_dir,
            output_dir=str(tmp_path / name),
            distribution=strategies.make_distribution(strategy, num_devices),
        )

    return build


def _tensors(output_dir):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(output_dir)))
    ignored = (
        "_CHECKPOINTABLE_OBJECT_GRAPH",
        "save_counter/.ATTRIBUTES/VARIABLE_VALUE",
    )
    names = reader.get_variable_to_shape_map().keys() - set(ignored)
    return {name: reader.get_tensor(name) for name in names}


def _rows(output_dir):
    """Returns what was recorded, without times."""
    return [
        {key: value for key, value in row.items() if "second" not in key}
        for row in history.read(str(output_dir))
    ]


def test_a_run_in_loops_is_the_same_run_bit_for_bit(build, tmp_path):
    build("one_by_one", 1).train_and_evaluate()
    in_loops = build("loops", 3)
    in_loops.train_and_evaluate()

    assert in_loops._stepper._loop.program.experimental_get_tracing_count() == 1
    expected, found = _tensors(tmp_path / "one_by_one"), _tensors(tmp_path / "loops")
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert _rows(tmp_path / "loops") == _rows(tmp_path / "one_by_one")


def test_a_run_in_loops_resumes_where_it_was_stopped(build, tmp_path):
    build("whole", 4).train()
    stopped = build("parts", 4)
    stopped._train_until(5)  # a loop of four steps and one of one
    stopped._checkpoints.save()
    stopped._train_until(7)  # is lost
    resumed = build("parts", 4)
    assert resumed.state.step == 5
    resumed.train()

    expected, found = _tensors(tmp_path / "whole"), _tensors(tmp_path / "parts")
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_steps_in_a_loop_that_are_not_finite_are_counted_one_by_one(build, tmp_path):
    trainer = build("run", 4, max_skipped_steps=100)
    trainer.model.commands.assign(tf.fill(trainer.model.commands.shape, np.nan))

    trainer._train_until(4)

    skipped = [counts.skipped for counts in trainer.state.counts.values()]
    batches = [counts.batches for counts in trainer.state.counts.values()]
    assert sum(skipped) == 4
    assert skipped == batches


@pytest.mark.parametrize("field", ["batches_per_update", "problems_per_update"])
def test_a_loop_of_steps_of_several_batches_is_refused(field, build):
    with pytest.raises(ValueError, match=rf"`steps_per_loop` \(4\).*`{field}` is 2"):
        build("run", 4, hparams={field: 2, "problem_learning_rates": ""})


@pytest.mark.parametrize(
    ("changes", "rtol"),
    [
        ({"num_devices": 2}, 1e-5),
        pytest.param({"jit_compile": True}, 0.0, marks=pytest.mark.slow),
        pytest.param(
            {"jit_compile": True, "num_devices": 2}, 1e-5, marks=pytest.mark.slow
        ),
    ],
)
def test_replicas_and_xla_make_loops_too(changes, rtol, build, tmp_path):
    """One of them has a program for each shape of batches."""
    build("one_by_one", 1, **changes).train()
    build("loops", 4, **changes).train()

    expected, found = _tensors(tmp_path / "one_by_one"), _tensors(tmp_path / "loops")
    for name, value in expected.items():
        np.testing.assert_allclose(
            found[name], value, rtol=rtol, atol=rtol / 100, err_msg=name
        )
