"""What surrounds the steps of a run, on two replicas."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.runs import best_checkpoints, checkpoint_files
from t2t_mm.training import experiment, history, stored_checkpoint, strategies
from t2t_mm.training.warm_start_config import WarmStartConfig


@pytest.mark.slow
def test_two_replicas_warm_start_evaluate_decode_and_keep_the_best(
    smallest_settings, smallest_run_dir, tmp_path
):
    config = dataclasses.replace(
        smallest_settings["config"],
        train_steps=2,
        eval_every_steps=1,
        eval_decode=1,
        show_samples=1,
        keep_best="loss",
        eval_early_stopping_steps=100,
    )
    start = WarmStartConfig(path=str(smallest_run_dir))

    trainer = experiment.build(
        **smallest_settings | {"config": config},
        output_dir=str(tmp_path),
        warm_start=start,
        distribution=strategies.make_distribution("mirrored", 2),
    )
    begun, old = (
        stored_checkpoint.StoredCheckpoint(checkpoint_files.prefix(str(folder), step))
        for folder, step in ((tmp_path, 0), (smallest_run_dir, 4))
    )
    results = trainer.train_and_evaluate()

    for variable in trainer.model.variables:
        assert len(variable.values) == 2
        name = stored_checkpoint.inner_name(variable)
        average = old.averages[stored_checkpoint.inner_key(variable)]
        np.testing.assert_array_equal(
            begun.read(begun.weights[name]), old.read(average)
        )
    rows = [row for row in history.read(str(tmp_path)) if row["split"] == "dev"]
    assert [row["step"] for row in rows] == [1, 2]
    assert any(name.startswith("decoded_") for name in results["copy_digits"])
    best = best_checkpoints.read(str(tmp_path), "loss")
    assert best.value == min(row["loss"] for row in rows)
    path = checkpoint_files.prefix(
        best_checkpoints.folder_of(str(tmp_path), "loss"), best.step
    )
    assert tf.train.load_checkpoint(path).has_tensor("step/.ATTRIBUTES/VARIABLE_VALUE")
