"""What evaluations on dev decide: which checkpoint is the best, and when to stop."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from t2t_mm.features import Split
from t2t_mm.training import best_keeper, early_stopping, history, watched_metric
from t2t_mm.training.run_config import RunConfig
from t2t_mm.training.watched_metric import Results


class DevWatch:
    """Keeps the best checkpoints and says when a run should end early."""

    def __init__(
        self,
        config: RunConfig,
        metric_names: Mapping[str, Sequence[str]],
        output_dir: str,
        copy_checkpoint: Callable[[str], None],
        *,
        step: int,
    ) -> None:
        """Recalls what was recorded of evaluations in `output_dir`.

        Args:
          config: names the metrics.
          metric_names: names of the metrics of every problem.
          output_dir: folder of the run.
          copy_checkpoint: writes the present state to files with the given prefix.
          step: number of updates so far; evaluations before it are recalled.

        Raises:
          ValueError: for a metric that does not exist.
        """
        names = [name for name in config.keep_best.split(",") if name.strip()]
        metrics = [watched_metric.parse("keep_best", n, metric_names) for n in names]
        self._config = config
        self._metric_names = metric_names
        self._keeper = best_keeper.BestKeeper(metrics, output_dir, copy_checkpoint)
        self._latest: tuple[int, Results] | None = None
        self._stopping = None
        if config.eval_early_stopping_steps:
            self._stopping = _early_stopping(config, metric_names)
            for evaluated, results in history.evaluations(output_dir, Split.EVAL):
                if evaluated < step:
                    self._heed(evaluated, results)

    def add(self, step: int, results: Results) -> None:
        """Notes the evaluation of the present state.

        Args:
          step: number of updates.
          results: {problem: {metric: value}}.
        """
        self._latest = (step, results)
        self._keeper.offer(step, results)
        self._heed(step, results)

    def _heed(self, step: int, results: Results) -> None:
        """Lets early stopping see an evaluation that compares with the others.

        One that was not due, at the end of an earlier command, does not count: a run
        must not depend on where that was. Nor does a mean over other problems.
        """
        if self._stopping is None or not self._config.is_evaluation_due(step):
            return
        metric = self._stopping.metric
        if metric.problems(results) == metric.problems(self._metric_names):
            self._stopping.add(step, results)

    def results_of(self, step: int) -> dict[str, dict[str, Any]]:
        """Returns the results of a step; none unless it was the latest evaluation."""
        if self._latest is None or self._latest[0] != step:
            return {}
        return {problem: dict(row) for problem, row in self._latest[1].items()}

    @property
    def stop_reason(self) -> str | None:
        """Why the run should end; None if it should not."""
        return self._stopping.reason if self._stopping is not None else None


def _early_stopping(
    config: RunConfig, metric_names: Mapping[str, Sequence[str]]
) -> early_stopping.EarlyStopping:
    minimize = config.eval_early_stopping_metric_minimize
    metric = watched_metric.parse(
        "eval_early_stopping_metric",
        config.eval_early_stopping_metric,
        metric_names,
        higher_is_better=None if minimize is None else not minimize,
    )
    return early_stopping.EarlyStopping(
        metric,
        steps=config.eval_early_stopping_steps,
        delta=config.eval_early_stopping_metric_delta,
    )
