"""Keeping the best checkpoint of a run by every metric that is asked for."""

import math
import os
from collections.abc import Callable, Sequence

from absl import logging

from t2t_mm.runs import best_checkpoints, checkpoint_files
from t2t_mm.runs.best_checkpoints import Best
from t2t_mm.training.watched_metric import Results, WatchedMetric


class BestKeeper:
    """Keeps a copy of the checkpoint of the best evaluation, by each metric.

    What is in the folders decides, so a resumed run knows the best so far. A step that
    is evaluated a second time, with the same result, changes nothing. A mean over other
    problems than those of the best so far does not compare: the best begins anew.
    """

    def __init__(
        self,
        metrics: Sequence[WatchedMetric],
        output_dir: str,
        copy_checkpoint: Callable[[str], None],
    ) -> None:
        """Reads the best so far.

        Args:
          metrics: what to keep the best by.
          output_dir: folder of the run.
          copy_checkpoint: writes the present state to files with the given prefix.

        Raises:
          ValueError: if a folder has the best by the other direction.
        """
        self._metrics = metrics
        self._output_dir = output_dir
        self._copy_checkpoint = copy_checkpoint
        self._best = {m: best_checkpoints.read(output_dir, str(m)) for m in metrics}
        for metric, best in self._best.items():
            checkpoint_files.delete_unfinished(
                best_checkpoints.folder_of(output_dir, str(metric))
            )
            if best and best.higher_is_better != metric.higher_is_better:
                folder = best_checkpoints.folder_of(output_dir, str(metric))
                end = "highest" if best.higher_is_better else "lowest"
                raise ValueError(
                    f"'{folder}' has the {end} {metric}; to keep the other end, move "
                    "that folder away."
                )

    def offer(self, step: int, results: Results) -> None:
        """Keeps the present state by every metric by which it is the best so far.

        Args:
          step: number of updates.
          results: of its evaluation.
        """
        for metric, best in self._best.items():
            value = metric.value(results)
            if value is None or not math.isfinite(value):
                continue
            problems = metric.problems(results)
            if best is not None and best.problems not in (None, problems):
                _log_other_problems(metric, best, problems)
                best = None
            if best is None or metric.gain(value, best.value) > 0.0:
                self._best[metric] = self._keep(metric, step, value, problems)

    def _keep(
        self, metric: WatchedMetric, step: int, value: float, problems: Sequence[str]
    ) -> Best:
        best = Best(
            metric=str(metric),
            higher_is_better=metric.higher_is_better,
            value=value,
            step=step,
            problems=problems,
        )
        folder = best_checkpoints.folder_of(self._output_dir, best.metric)
        os.makedirs(folder, exist_ok=True)
        self._copy_checkpoint(checkpoint_files.prefix(folder, step))
        listed = checkpoint_files.Listed(step=step, time=0.0)
        checkpoint_files.write_list(
            folder, checkpoint_files.CheckpointList(listed=[listed])
        )
        best_checkpoints.write(self._output_dir, best)
        for other in checkpoint_files.steps_on_disk(folder):
            if other != step:
                checkpoint_files.delete(checkpoint_files.prefix(folder, other))
        logging.info("best | step %d | %s %.4f", step, metric, value)
        return best


def _log_other_problems(
    metric: WatchedMetric, best: Best, problems: Sequence[str]
) -> None:
    logging.warning(
        "best | %s was the mean over %s, and is over %s: its best of step %d, %.4f, "
        "gives way to the best from here on",
        metric,
        ", ".join(best.problems or ()),
        ", ".join(problems),
        best.step,
        best.value,
    )
