"""Progress of training: what happened since the last line of the log."""

import collections
import math
import sys
import time
from typing import NamedTuple

import tensorflow as tf
from absl import logging

_LIVE_SECONDS = 1.0  # between two updates of the line on a terminal


class StepOutput(NamedTuple):
    """What a training step returns, each `[]` float32.

    Attributes:
      loss: mean loss per target.
      extra_loss: balance losses, weighted.
      targets: number of targets that the loss is the mean of.
      gradient_norm: before clipping.
      drop_rate: share of the choices of experts for which there was no room.
    """

    loss: tf.Tensor
    extra_loss: tf.Tensor
    targets: tf.Tensor
    gradient_norm: tf.Tensor
    drop_rate: tf.Tensor


class Progress:
    """Collects step outputs and turns them into lines and means per problem."""

    def __init__(self, first_step: int, last_step: int) -> None:
        """Starts the clock.

        Args:
          first_step: number of steps before this run of the program.
          last_step: number of steps after it.
        """
        self._last_step = last_step
        self._pending: list[tuple[int, str, StepOutput]] = []
        self._start_step, self._start_time = first_step, time.monotonic()
        self._live_time = 0.0

    def add(self, step: int, problem: str, output: StepOutput) -> None:
        """Notes the output of a step, without waiting for it to be computed."""
        self._pending.append((step, problem, output))
        if sys.stderr.isatty() and time.monotonic() - self._live_time > _LIVE_SECONDS:
            self._live_time = time.monotonic()
            line = f"{step} / {self._last_step} | {problem} | {self._time_left(step)}"
            sys.stderr.write(f"\r{line}\x1b[K")

    def _time_left(self, step: int) -> str:
        done = step - self._start_step
        if done <= 0:
            return "? left"
        seconds = (time.monotonic() - self._start_time) / done
        left = int(seconds * (self._last_step - step))
        return f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"

    def flush(self, step: int, since: float, learning_rate: float) -> dict[str, dict]:
        """Logs a line and returns means per problem since the last call.

        Args:
          step: number of steps so far.
          since: when the last call was, in seconds of `time.monotonic`; time spent on
            evaluation is not to count.
          learning_rate: of the last step.

        Raises:
          FloatingPointError: if a loss or gradient was not finite.
        """
        sums: dict[str, list[float]] = collections.defaultdict(lambda: [0.0] * 6)
        for at_step, problem, output in self._pending:
            values = [float(value) for value in output]
            if not all(math.isfinite(value) for value in values):
                raise FloatingPointError(
                    f"Step {at_step} on {problem} was not finite: loss {values[0]}, "
                    f"gradient norm {values[3]}. Lower `learning_rate_constant` "
                    f"({learning_rate:.2g} at present) or `clip_grad_norm`; the last "
                    "checkpoint is from before."
                )
            for i, value in enumerate([*values, 1.0]):
                sums[problem][i] += value
        self._pending.clear()
        seconds = max(time.monotonic() - since, 1e-9)
        self._log(step, sums, seconds, learning_rate)
        return {
            problem: {
                "loss": loss / steps,
                "extra_loss": extra / steps,
                "gradient_norm": norm / steps,
                "drop_rate": dropped / steps,
                "targets_per_second": targets / seconds,
                "learning_rate": learning_rate,
            }
            for problem, (loss, extra, targets, norm, dropped, steps) in sums.items()
        }

    def _log(self, step: int, sums: dict, seconds: float, learning_rate: float) -> None:
        if sys.stderr.isatty():
            sys.stderr.write("\r\x1b[K")
        losses = " ".join(f"{p} {s[0] / s[-1]:.3f}" for p, s in sorted(sums.items()))
        steps = sum(s[-1] for s in sums.values())
        targets = sum(s[2] for s in sums.values())
        dropped = sum(s[4] for s in sums.values()) / max(steps, 1.0)
        logging.info(
            "train | step %d | %s | lr %.2e | %.1f steps/s %.0f targets/s%s | %s",
            step,
            losses,
            learning_rate,
            steps / seconds,
            targets / seconds,
            f" | drop_rate {dropped:.2g}" if dropped > 0 else "",
            self._time_left(step),
        )
