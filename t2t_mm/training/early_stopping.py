"""Stopping a run whose metric has ceased to improve."""

import math

from t2t_mm.training.watched_metric import Results, WatchedMetric


class EarlyStopping:
    """Watches a metric: what it says is a function of the evaluations so far.

    The first value is the mark. An evaluation that is better than the mark by `delta`
    or more sets a new one. Once the mark is `steps` old, the run should stop.

    Attributes:
      metric: what is watched.
    """

    def __init__(self, metric: WatchedMetric, *, steps: int, delta: float) -> None:
        """Creates a watcher.

        Args:
          metric: what to watch.
          steps: for how many updates it may stay without improvement.
          delta: how much better a value must be to count as improvement.
        """
        self.metric = metric
        self._steps = steps
        self._delta = delta
        self._mark: tuple[int, float] | None = None
        self._latest: tuple[int, float] | None = None

    def add(self, step: int, results: Results) -> None:
        """Notes the evaluation of a step; one that is not finite improves nothing."""
        value = self.metric.value(results)
        if value is None:
            return
        self._latest = (step, value)
        if self._mark is None or self._is_improved(value, self._mark[1]):
            self._mark = (step, value)

    def _is_improved(self, value: float, mark: float) -> bool:
        if not math.isfinite(mark):
            return math.isfinite(value)
        gain = self.metric.gain(value, mark)
        return gain > 0.0 and gain >= self._delta

    @property
    def reason(self) -> str | None:
        """Why the run should stop; None if it should not."""
        if self._mark is None or self._latest is None:
            return None
        (best_step, best), (step, value) = self._mark, self._latest
        if step - best_step < self._steps:
            return None
        direction = "higher" if self.metric.higher_is_better else "lower"
        return (
            f"{self.metric} was {best:.4f} at step {best_step} and has not become "
            f"{direction} by {self._delta:g} in {step - best_step} steps; it is "
            f"{value:.4f} at step {step}"
        )
