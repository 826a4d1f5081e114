"""Profiling some steps of a run for TensorBoard."""

import tensorflow as tf
from absl import logging


class Profiler:
    """Profiles the steps of a range, of which a run may see a part."""

    def __init__(self, steps: range, folder: str) -> None:
        """Prepares to write to `folder`, where TensorBoard looks."""
        self._steps = steps
        self._folder = folder
        self._is_on = False
        self._is_due = bool(steps)

    def pauses(self, step: int) -> list[int]:
        """Returns the steps after `step` at which the loop must call `at`."""
        bounds = (self._steps.start, self._steps.stop) if self._steps else ()
        return [bound for bound in bounds if bound > step]

    def at(self, step: int) -> None:
        """Starts or stops before step `step` is made."""
        if step in self._steps and not self._is_on:
            tf.profiler.experimental.start(self._folder)
            self._is_on, self._is_due = True, False
            logging.info("profile | from step %d to %d", step, self._steps.stop)
        elif step not in self._steps:
            self._stop()

    def close(self) -> None:
        """Writes what was profiled so far; warns if that is nothing, but should be."""
        self._stop()
        if self._is_due:
            logging.warning(
                "profile | nothing: no step from %d to %d was made.",
                self._steps.start,
                self._steps.stop,
            )

    def _stop(self) -> None:
        if self._is_on:
            tf.profiler.experimental.stop()
            self._is_on = False
            logging.info("profile | written to %s", self._folder)
