"""Saving and restoring everything that decides how a run goes on."""

import dataclasses
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf
from absl import logging

from t2t_mm import averaging
from t2t_mm import model as model_lib
from t2t_mm.training import new_problems, optimizers, stored_checkpoint


@dataclasses.dataclass
class Counts:
    """What a run has seen of one problem.

    Attributes:
      batches: training batches drawn; the position in the data.
      steps: draws of it whose update was made; one a step, unless it is drawn twice.
      examples: examples in these.
      targets: targets in these that count, such as tokens.
      skipped: steps that were skipped because something was not finite.
      skipped_in_a_row: how many of them were the last ones.
    """

    batches: int = 0
    steps: int = 0
    examples: int = 0
    targets: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0


@dataclasses.dataclass
class DevLosses:
    """Losses on dev of one problem that mixing may read; 0 before an evaluation."""

    first: float = 0.0
    latest: float = 0.0


class RunState:
    """Where a run stands: what a checkpoint holds beside variables and slots.

    Attributes:
      step: number of updates so far.
      counts: what has been seen, by problem.
      dev_losses: recorded evaluations, by problem.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        """Creates the state of a run that has not started."""
        self.step = 0
        self.counts = {name: Counts() for name in problems}
        self.dev_losses = {name: DevLosses() for name in self.counts}

    def seen(self, problem: str) -> dict[str, int]:
        """Returns what is recorded of the counts of a problem."""
        counts = self.counts[problem]
        return {
            "steps_seen": counts.steps,
            "examples_seen": counts.examples,
            "targets_seen": counts.targets,
            "steps_skipped": counts.skipped,
        }

    def record_losses(self, losses: Mapping[str, float]) -> None:
        """Notes losses on dev by problem."""
        for problem, loss in losses.items():
            recorded = self.dev_losses[problem]
            recorded.latest = loss
            if not recorded.first:
                recorded.first = loss

    def losses_left(self) -> dict[str, float]:
        """Returns the share of their first loss on dev that is left, by problem."""
        return {
            problem: losses.latest / losses.first
            for problem, losses in self.dev_losses.items()
            if losses.first > 0.0 and math.isfinite(losses.latest)
        }


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
        average: averaging.WeightAverage | None = None,
    ) -> None:
        """Prepares to save `model`, the slots of `optimizer`, `state` and `average`."""
        self._state = state
        self._parts = model, optimizer, average
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self._counts = _numbers(state.counts, tf.int64)
        self._dev_losses = _numbers(state.dev_losses, tf.float64)
        self._checkpoint = tf.train.Checkpoint(
            model=model,
            optimizer=optimizer,
            step=self._step,
            counts=self._counts,
            dev_losses=self._dev_losses,
            **({} if average is None else {"average": average}),
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
        for variables, of_problems in self._recorded():
            for name, record in of_problems.items():
                for field, variable in variables[name].items():
                    variable.assign(getattr(record, field))
        self._manager.save(checkpoint_number=self._state.step)
        logging.info("checkpoint | step %d | %s", self._state.step, path)

    def restore_latest(self) -> bool:
        """Restores the newest checkpoint; returns whether there was one.

        Problems that it does not know begin: their counters, and nets that no other
        problem has.

        Raises:
          AssertionError: if it does not hold exactly the variables of the run.
          ValueError: the same, if there are problems that it does not know.
        """
        path = self._manager.latest_checkpoint
        if path is None:
            return False
        stored = stored_checkpoint.StoredCheckpoint(path)
        status = self._checkpoint.restore(path)
        if self._state.counts.keys() - set(stored.problems):
            new_problems.check_that_rest_is_there(stored, *self._parts)
            status.expect_partial()
        else:
            status.assert_consumed()
        self._note_restored(path)
        return True

    def restore_part(self, path: str) -> None:
        """Restores what a checkpoint of a run with more problems has of this one.

        Raises:
          AssertionError: if it does not hold all variables of this run.
        """
        status = self._checkpoint.restore(path)
        status.assert_existing_objects_matched().expect_partial()
        self._note_restored(path)

    def _note_restored(self, path: str) -> None:
        self._state.step = int(self._step.numpy())
        for variables, of_problems in self._recorded():
            for name, record in of_problems.items():
                for field, variable in variables[name].items():
                    setattr(record, field, variable.numpy().item())
        logging.info("restored | step %d | %s", self._state.step, path)

    def _recorded(self) -> list[tuple[Any, Mapping[str, Any]]]:
        return [
            (self._counts, self._state.counts),
            (self._dev_losses, self._state.dev_losses),
        ]


def _numbers(
    records: Mapping[str, Any], dtype: tf.DType
) -> dict[str, dict[str, tf.Variable]]:
    """Returns a variable for every field of every record."""
    return {
        name: {
            field.name: tf.Variable(0, dtype=dtype, trainable=False, name=field.name)
            for field in dataclasses.fields(record)
        }
        for name, record in records.items()
    }
