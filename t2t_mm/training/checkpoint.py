"""Saving and restoring everything that decides how a run goes on."""

import dataclasses
import math
import os
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf
from absl import logging

from t2t_mm import averaging
from t2t_mm import model as model_lib
from t2t_mm.runs import checkpoint_difference, checkpoint_files
from t2t_mm.training import new_problems, optimizers, retention


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
    """The checkpoints of one run.

    Attributes:
      output_dir: folder of the run.
    """

    def __init__(
        self,
        model: model_lib.Model,
        optimizer: optimizers.Optimizer,
        state: RunState,
        output_dir: str,
        *,
        keep: retention.Retention,
        average: averaging.WeightAverage | None = None,
    ) -> None:
        """Prepares to save `model`, the slots of `optimizer`, `state` and `average`."""
        self._state = state
        self._model = model
        self.output_dir = output_dir
        self._keep = keep
        self._saved_step: int | None = None
        self._has_more_than_saved = False  # problems that begin after that step
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
        # TensorFlow makes it when a checkpoint is restored: then all of them have it.
        _ = self._checkpoint.save_counter

    @property
    def step(self) -> int:
        """Number of updates so far."""
        return self._state.step

    def save(self) -> None:
        """Writes a checkpoint of the current step, unless that was the last thing done.

        Raises:
          OSError: if it cannot be written; those before it are still there.
        """
        step = self._state.step
        path = checkpoint_files.prefix(self.output_dir, step)
        if step == self._saved_step and checkpoint_files.files(path):
            return
        if not os.path.isdir(self.output_dir):
            raise FileNotFoundError(
                f"Step {step} cannot be saved: the folder '{self.output_dir}' has "
                "vanished."
            )
        before = checkpoint_files.read_list(self.output_dir)
        try:
            self.write(path)
            self._list(retention.add(before, step, time.time()))
        except OSError as error:
            checkpoint_files.delete_unfinished(self.output_dir)
            raise OSError(f"Step {step} cannot be saved: {error}") from error
        self._saved_step, self._has_more_than_saved = step, False
        logging.info("checkpoint | step %d | %s", step, path)

    def _list(self, written: checkpoint_files.CheckpointList) -> None:
        """Lists what has been written, and deletes what need not be kept."""
        checkpoint_files.write_list(self.output_dir, written)
        kept, deleted = retention.apply(self._keep, written)
        for step in deleted:
            checkpoint_files.delete(checkpoint_files.prefix(self.output_dir, step))
        checkpoint_files.write_list(self.output_dir, kept)

    def write(self, path: str) -> None:
        """Writes the current state to files with a prefix, and lists them nowhere.

        Raises:
          OSError: if they cannot be written.
        """
        checkpoint_files.delete(path)  # others may be links to the same files
        self._step.assign(self._state.step)
        for variables, of_problems in self._recorded():
            for name, record in of_problems.items():
                for field, variable in variables[name].items():
                    variable.assign(getattr(record, field))
        try:
            self._checkpoint.write(path)
        except tf.errors.OpError as error:
            raise OSError(f"'{path}' cannot be written: {_reason(error)}.") from error
        for file in checkpoint_files.files(path):
            checkpoint_files.sync(file)

    def copy(self, path: str) -> None:
        """Writes the current state to files with a prefix; links them if it can."""
        if self._state.step != self._saved_step or self._has_more_than_saved:
            self.write(path)
            return
        saved = checkpoint_files.prefix(self.output_dir, self._state.step)
        checkpoint_files.delete(path)
        for file in checkpoint_files.files(saved):
            checkpoint_files.link(file, path + file.removeprefix(saved))

    def restore_latest(self) -> bool:
        """Restores the newest checkpoint that is whole; returns whether there was one.

        Problems that it does not know begin: their counters, and nets that no other
        problem has.

        Raises:
          ValueError: if it does not hold exactly the variables of the run.
          OSError: if there are checkpoints, but none is whole.
        """
        checkpoint_files.delete_unfinished(self.output_dir)
        path = checkpoint_files.first_whole(self.output_dir, self._restore)
        if path is None:
            return False
        self._note_restored(path)
        self._saved_step = self._state.step
        return True

    def restore_part(self, path: str) -> None:
        """Restores what a checkpoint of a run with more problems has of this one.

        Raises:
          ValueError: if it does not hold all variables of this run.
        """
        expected = checkpoint_difference.shapes_of(self._checkpoint)
        found = checkpoint_difference.shapes_in(path)
        found = {name: shape for name, shape in found.items() if name in expected}
        checkpoint_difference.check_same(path, found, expected)
        self._checkpoint.restore(path).expect_partial()
        self._note_restored(path)

    def _note_restored(self, path: str) -> None:
        self._state.step = int(self._step.numpy())
        for variables, of_problems in self._recorded():
            for name, record in of_problems.items():
                for field, variable in variables[name].items():
                    setattr(record, field, variable.numpy().item())
        logging.info("restored | step %d | %s", self._state.step, path)

    def _restore(self, path: str) -> None:
        found = checkpoint_difference.shapes_in(path)
        expected = checkpoint_difference.shapes_of(self._checkpoint)
        begin = new_problems.variables_that_begin(found, expected, self._model)
        rest = {name: expected[name] for name in expected.keys() - begin}
        checkpoint_difference.check_same(path, found, rest)
        status = self._checkpoint.restore(path)
        self._has_more_than_saved = bool(begin)
        if begin:
            status.expect_partial()
        else:
            status.assert_consumed()

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


def _reason(error: tf.errors.OpError) -> str:
    """Returns what TensorFlow says, but not of which of its functions."""
    text = " ".join(error.message.split())
    return re.sub(r"\{\{.*?\}\} ?| ?\[Op:\w+\]", "", text).removesuffix(".")
