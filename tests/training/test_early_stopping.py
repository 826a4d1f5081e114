import math

import pytest

from t2t_mm.training import early_stopping
from t2t_mm.training.watched_metric import WatchedMetric


def stopped_at(values, *, steps=20, delta=0.1, higher_is_better=False):
    """Evaluates every 10 steps; returns where the run stops, and why."""
    metric = WatchedMetric("loss", "copy", higher_is_better)
    watcher = early_stopping.EarlyStopping(metric, steps=steps, delta=delta)
    for number, value in enumerate(values, 1):
        watcher.add(10 * number, {"copy": {"loss": value}})
        if watcher.reason:
            return 10 * number, watcher.reason
    return None


def test_a_metric_that_stands_still_ends_the_run():
    step, reason = stopped_at([3.0, 2.0, 1.95, 1.92, 1.0])

    assert step == 40
    assert reason == (
        "copy/loss was 2.0000 at step 20 and has not become lower by 0.1 in 20 steps; "
        "it is 1.9200 at step 40"
    )


@pytest.mark.parametrize(
    ("values", "options", "step"),
    [
        ([3.0, 2.0, 1.95, 1.9, 1.8, 1.75], {}, None),  # slow, but in sum it improves
        ([0.1, 0.3, 0.2, 0.35], dict(higher_is_better=True), 40),
        ([0.1, 0.3, 0.2, 0.45], dict(higher_is_better=True), None),
        ([1.0, 1.0, 1.0], dict(delta=0.0), 30),
        ([1.0, 0.999, 0.998, 0.997], dict(delta=0.0), None),
        ([math.nan, 1.0, math.nan, 0.8, 0.6], {}, None),
        ([1.0, math.nan, math.nan], {}, 30),
        ([1.0, 2.0], {}, None),
    ],
)
def test_only_an_improvement_by_delta_counts(values, options, step):
    stopped = stopped_at(values, **options)

    assert (stopped and stopped[0]) == step


def test_an_evaluation_without_the_metric_changes_nothing():
    metric = WatchedMetric("bleu", None, True)
    watcher = early_stopping.EarlyStopping(metric, steps=10, delta=0.1)

    watcher.add(10, {"copy": {"bleu": 30.0}})
    watcher.add(20, {"copy": {"loss": 1.0}})

    assert watcher.reason is None
