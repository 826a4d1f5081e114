"""Evaluating the checkpoints of a run from outside of it.

Only checkpoints that the folder's list names are read: they are whole. Results go to
files of their own, `metrics.jsonl` and `summaries` in `eval/continuous`, so that a
trainer may be at work in the same folder.
"""

import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from absl import logging

from t2t_mm.decoding import loading
from t2t_mm.features import Split
from t2t_mm.runs import checkpoint_files, step_files
from t2t_mm.training import early_end, history, run_start
from t2t_mm.training.parts import Parts

FOLDER = os.path.join("eval", "continuous")  # beside what t2t-eval writes

Results = dict[str, dict[str, Any]]


class CheckpointEvaluations:
    """Evaluates checkpoints of a folder on one split; graphs are built once."""

    def __init__(self, parts: Parts, output_dir: str, split: Split) -> None:
        """Reads what has been evaluated before.

        Args:
          parts: of the run; the model takes the weights of one checkpoint after the
            other.
          output_dir: folder of the run; need not have checkpoints yet.
          split: what to evaluate on.
        """
        self._parts = parts
        self._output_dir = output_dir
        self._split = split
        self._folder = os.path.join(output_dir, FOLDER)
        self._history: history.History | None = None  # once there is something
        problems_by_step: dict[int, set[str]] = {}
        for row in history.read(self._folder):
            if row["split"] == split:
                problems_by_step.setdefault(row["step"], set()).add(row["problem"])
        self._done = {
            step
            for step, problems in problems_by_step.items()
            if problems >= parts.problems.keys()
        }

    def evaluate_newest(self) -> Results:
        """Evaluates the newest checkpoint that is whole.

        Raises:
          FileNotFoundError: if there is none.
          OSError: if there are some, but none is whole.
        """
        return self._evaluate(None)

    def watch(
        self,
        train_steps: int,
        timeout_minutes: float,
        *,
        sleep: Callable[[float], object] = time.sleep,
    ) -> Results:
        """Evaluates every checkpoint, oldest first, as they come; skips none.

        It ends with the checkpoint of `train_steps` or of a run that was stopped early,
        or if no other has come for a while.

        Args:
          train_steps: last step of the run.
          timeout_minutes: longest wait for a checkpoint; below 0 for ever.
          sleep: waits for so many seconds.

        Returns:
          The last evaluation; empty if there was none.
        """
        results: Results = {}
        wait_seconds = timeout_minutes * 60 if timeout_minutes >= 0 else math.inf
        for file in step_files.watch(
            self._waiting,
            wait_seconds=wait_seconds,
            is_over=lambda: self._is_over(train_steps),
            sleep=self._announcing(sleep),
        ):
            results = self._evaluate_if_there(file.step) or results
        self._log_end(train_steps, timeout_minutes)
        return results

    def _log_end(self, train_steps: int, timeout_minutes: float) -> None:
        """Says why no more checkpoints are evaluated, if that is not plain."""
        if not self._is_over(train_steps):
            logging.warning(
                "No checkpoint came in %g minutes, so continuous_eval ends, before "
                "step %d.",
                timeout_minutes,
                train_steps,
            )
        elif max(self._done) < train_steps and (
            end := early_end.read(self._output_dir)
        ):
            logging.info(
                "continuous_eval ends, as the run was stopped early at step %d: %s.",
                end.step,
                end.reason,
            )

    def _waiting(self) -> list[step_files.StepFile]:
        """Returns the checkpoints that are whole and yet to be evaluated."""
        steps = sorted(self._listed_steps() - self._done)
        if len(steps) > 1:
            logging.info("%d checkpoints wait to be evaluated", len(steps))
        return [
            step_files.StepFile(step, checkpoint_files.prefix(self._output_dir, step))
            for step in steps
        ]

    def _listed_steps(self) -> set[int]:
        listed = checkpoint_files.read_list(self._output_dir).listed
        return {entry.step for entry in listed}

    def _is_over(self, train_steps: int) -> bool:
        end = early_end.read(self._output_dir)
        is_early = end is not None and end.step in self._done
        return is_early or max(self._done, default=-1) >= train_steps

    def _announcing(
        self, sleep: Callable[[float], object]
    ) -> Callable[[float], object]:
        """Returns `sleep`, with a line in the log once between two evaluations."""
        announced: set[int] = set()

        def wait(seconds: float) -> None:
            if len(self._done) not in announced:
                logging.info("waiting for a checkpoint in %s", self._output_dir)
                announced.add(len(self._done))
            sleep(seconds)

        return wait

    def _evaluate_if_there(self, step: int) -> Results:
        try:
            return self._evaluate(checkpoint_files.prefix(self._output_dir, step))
        except OSError:
            if step in self._listed_steps() and checkpoint_files.files(
                checkpoint_files.prefix(self._output_dir, step)
            ):
                raise
            self._done.add(step)
            logging.warning(
                "The checkpoint of step %d was deleted before it was evaluated: that "
                "takes longer than training from one to the next. Keep more of them, "
                "with --keep_checkpoints, or evaluate less, with --eval_steps.",
                step,
            )
            return {}

    def _evaluate(self, choice: str | None) -> Results:
        run_start.check_fits(self._parts.description, self._output_dir)
        path = loading.restore_weights(self._parts.model, self._output_dir, choice)
        step = checkpoint_files.step_of(path)
        logging.info("evaluating | step %d | %s", step, path)
        results = self._parts.evaluator.evaluate(self._split)
        if step not in self._done:
            self._record(step, results)
        return results

    def _record(self, step: int, results: Results) -> None:
        if self._history is None:
            os.makedirs(self._folder, exist_ok=True)
            self._history = history.History(self._folder, first_step=sys.maxsize)
        for problem, values in results.items():
            self._history.write(step, problem, self._split, values)
        self._history.flush()
        self._done.add(step)
