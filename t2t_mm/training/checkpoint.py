"""Saving and restoring everything that decides how a run goes on."""

import os
from collections.abc import Iterable

import tensorflow as tf
from absl import logging

from t2t_mm import model as model_lib
from t2t_mm.training import optimizers


class RunState:
    """Where a run stands: what a checkpoint holds beside variables and slots.

    Attributes:
      step: number of updates so far.
      batches_seen: number of training batches so far by problem; the position in the
        data.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        """Creates the state of a run that has not started."""
        self.step = 0
        self.batches_seen = dict.fromkeys(problems, 0)


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(
        self,
        model: model_lib.Model,
        optimizer: optimizers.Optimizer,
        state: RunState,
        output_dir: str,
        *,
        keep: int,
    ) -> None:
        """Prepares to save `model`, the slots of `optimizer` and `state`."""
        self._state = state
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self._batches_seen = {
            name: tf.Variable(0, dtype=tf.int64, trainable=False, name=name)
            for name in state.batches_seen
        }
        self._checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=optimizer,
            step=self._step,
            batches_seen=self._batches_seen,
        )
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, output_dir, max_to_keep=keep, checkpoint_name="ckpt"
        )

    def save(self) -> None:
        """Writes a checkpoint of the current step, unless it is there already."""
        path = os.path.join(self._manager.directory, f"ckpt-{self._state.step}")
        if path in self._manager.checkpoints:
            return
        self._step.assign(self._state.step)
        for name, count in self._state.batches_seen.items():
            self._batches_seen[name].assign(count)
        self._manager.save(checkpoint_number=self._state.step)
        logging.info("checkpoint | step %d | %s", self._state.step, path)

    def restore_latest(self) -> bool:
        """Restores the newest checkpoint; returns whether there was one.

        Raises:
          AssertionError: if it does not hold exactly the variables of the run.
        """
        path = self._manager.latest_checkpoint
        if path is None:
            return False
        self._checkpoint.restore(path).assert_consumed()
        self._state.step = int(self._step.numpy())
        for name, variable in self._batches_seen.items():
            self._state.batches_seen[name] = int(variable.numpy())
        logging.info("restored | step %d | %s", self._state.step, path)
        return True
