"""Progress of training: what happened since the last line of the log."""

import collections
import time
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging

from t2t_mm.training import checkpoint, live_table, step_values

_LIVE_SECONDS = 1.0  # between two updates of the line on a terminal


class Progress:
    """Collects step outputs and turns them into lines and means per problem.

    Attributes:
      latest_updates: the last update of every problem before the last `flush`.
    """

    def __init__(
        self,
        state: checkpoint.RunState,
        problems: Sequence[str],
        last_step: int,
        *,
        max_skipped_steps: int,
    ) -> None:
        """Starts the clock.

        Args:
          state: where the run stands; `flush` counts what was seen in it.
          problems: those that are trained; the state may know others.
          last_step: last step of the run.
          max_skipped_steps: how many steps in a row of a problem may be skipped.
        """
        self._state = state
        self._problems = problems
        self._last_step = last_step
        self._max_skipped_steps = max_skipped_steps
        self._pending: list[tuple[int, str, step_values.StepOutput]] = []
        self._start_step, self._start_time = state.step, time.monotonic()
        self._flushed_step = state.step
        self.latest_updates: dict[str, step_values.UpdateOutput] = {}
        self._live = live_table.LiveTable()
        self._live_time = 0.0
        self._steps_per_second = 0.0
        self._means: dict[str, dict[str, Any]] = {}

    def add(self, step: int, problem: str, output: step_values.StepOutput) -> None:
        """Notes the output of a step, without waiting for it to be computed."""
        self._pending.append((step, problem, output))
        now = time.monotonic()
        if self._live.is_shown and now - self._live_time > _LIVE_SECONDS:
            self._live_time = now
            self._live.draw(self._live_lines(step, problem))

    def close(self) -> None:
        """Takes the live lines off the terminal."""
        self._live.clear()

    def _live_lines(self, step: int, problem: str) -> list[str]:
        line = f"{step} / {self._last_step} | {problem} | {self._time_left(step)}"
        if len(self._problems) == 1:
            return [line]
        if self._steps_per_second:
            line += f" | {self._steps_per_second:.1f} steps/s"
        return [line, *live_rows(self._state, self._problems, self._means)]

    def _time_left(self, step: int) -> str:
        done = step - self._start_step
        if done <= 0:
            return "? left"
        seconds = (time.monotonic() - self._start_time) / done
        left = int(seconds * (self._last_step - step))
        return f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"

    def flush(self, since: float, learning_rate: float) -> dict[str, dict]:
        """Logs a line and returns means per problem since the last call.

        Args:
          since: when the last call was, in seconds of `time.monotonic`; time spent on
            evaluation is not to count.
          learning_rate: of the last step.

        Raises:
          FloatingPointError: if too many steps of a problem were skipped.
        """
        sums: dict[str, list[float]] = collections.defaultdict(lambda: [0.0] * 7)
        for step, problem, (batch, update) in self._pending:
            values = [float(value) for value in (*batch, update.gradient_norm)]
            if not update.applied:
                self._note_skipped(step, problem, values, learning_rate)
                continue
            self._note_seen(problem, batch)
            for i, value in enumerate([*values, 1.0]):
                sums[problem][i] += value
        skipped = {problem for _, problem, _ in self._pending} - sums.keys()
        self.latest_updates = {p: output.update for _, p, output in self._pending}
        self._pending.clear()
        seconds = max(time.monotonic() - since, 1e-9)
        self._log(sums, seconds, learning_rate)
        self._flushed_step = self._state.step
        means = {name: _means(row, seconds) for name, row in sums.items()}
        self._means |= means
        return {
            name: means.get(name, {})
            | {"learning_rate": learning_rate}
            | self._state.seen(name)
            for name in [*sums, *sorted(skipped)]
        }

    def _note_seen(self, problem: str, batch: step_values.BatchOutput) -> None:
        counts = self._state.counts[problem]
        counts.steps += 1
        counts.examples += int(batch.examples)
        counts.targets += int(batch.targets)
        counts.skipped_in_a_row = 0

    def _note_skipped(
        self, step: int, problem: str, values: list[float], learning_rate: float
    ) -> None:
        counts = self._state.counts[problem]
        counts.skipped += 1
        counts.skipped_in_a_row += 1
        what = (
            f"Step {step} on {problem} was not finite: loss {values[0]}, gradient norm "
            f"{values[-1]}"
        )
        if counts.skipped_in_a_row > self._max_skipped_steps:
            raise FloatingPointError(
                f"{what}. That is number {counts.skipped_in_a_row} in a row, more than "
                f"`max_skipped_steps` ({self._max_skipped_steps}). Lower "
                f"`learning_rate_constant` ({learning_rate:.2g} at present) or "
                "`clip_grad_norm`, or look for damaged data; none of these steps "
                "changed the weights."
            )
        logging.warning(
            "%s; it was skipped, number %d in a row and %d in all.",
            what,
            counts.skipped_in_a_row,
            counts.skipped,
        )

    def _log(self, sums: dict, seconds: float, learning_rate: float) -> None:
        self._live.clear()
        step = self._state.step
        self._steps_per_second = (step - self._flushed_step) / seconds
        losses = " ".join(f"{p} {s[0] / s[-1]:.3f}" for p, s in sorted(sums.items()))
        targets = sum(s[2] for s in sums.values())
        draws = sum(s[-1] for s in sums.values())
        dropped = sum(s[4] for s in sums.values()) / max(draws, 1.0)
        logging.info(
            "train | step %d | %s | lr %.2e | %.1f steps/s %.0f targets/s%s | %s",
            step,
            losses or "all skipped",
            learning_rate,
            self._steps_per_second,
            targets / seconds,
            f" | drop_rate {dropped:.2g}" if dropped > 0 else "",
            self._time_left(step),
        )


def _means(sums: list[float], seconds: float) -> dict[str, float]:
    loss, extra, targets, _, dropped, norm, steps = sums
    return {
        "loss": loss / steps,
        "extra_loss": extra / steps,
        "gradient_norm": norm / steps,
        "drop_rate": dropped / steps,
        "targets_per_second": targets / seconds,
    }


def live_rows(
    state: checkpoint.RunState,
    problems: Sequence[str],
    means: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Returns a table of problems: a header, and a line for each.

    Args:
      state: counts of steps, and losses on dev.
      problems: those to show; the shares are of their steps.
      means: what training gave since the last line of the log, or an earlier one, by
        problem; some may not have been drawn yet.
    """
    width = max(len("problem"), *map(len, problems))
    total = max(1, sum(state.counts[name].steps for name in problems))
    lines = [f"{'problem':<{width}}{'steps':>9}  share    loss  dev loss  targets/s"]
    for name in problems:
        counts = state.counts[name]
        mean = means.get(name, {})
        loss = f"{mean['loss']:8.3f}" if mean else f"{'-':>8}"
        dev = state.dev_losses[name].latest
        on_dev = f"{dev:10.3f}" if dev else f"{'-':>10}"
        speed = f"{mean['targets_per_second']:11.0f}" if mean else f"{'-':>11}"
        share = f"{100 * counts.steps / total:5.0f} %"
        lines.append(f"{name:<{width}}{counts.steps:>9}{share}{loss}{on_dev}{speed}")
    return lines
