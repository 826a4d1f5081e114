import json

import pytest

from t2t_mm.training import dev_watch
from t2t_mm.training.run_config import RunConfig


@pytest.mark.parametrize(("metric", "stops"), [("loss", False), ("a/loss", True)])
def test_a_mean_over_other_problems_is_not_recalled(metric, stops, tmp_path):
    losses = {10: {"a": 1.0}, 20: {"a": 1.0, "b": 9.0}}  # "b" was added at step 10
    rows = [
        {"step": step, "problem": problem, "split": "dev", "loss": loss}
        for step, of_problems in losses.items()
        for problem, loss in of_problems.items()
    ]
    lines = [json.dumps(row) + "\n" for row in rows]
    (tmp_path / "metrics.jsonl").write_text("".join(lines))

    watch = dev_watch.DevWatch(
        RunConfig(
            eval_every_steps=10,
            eval_early_stopping_steps=20,
            eval_early_stopping_metric=metric,
        ),
        {"a": ["loss"], "b": ["loss"]},
        str(tmp_path),
        lambda path: None,
        step=30,
    )
    watch.add(30, {"a": {"loss": 1.0}, "b": {"loss": 9.0}})

    assert (watch.stop_reason is not None) == stops


def test_an_evaluation_that_was_not_due_decides_nothing(tmp_path):
    lines = [
        json.dumps({"step": step, "problem": "a", "split": "dev", "loss": loss})
        for step, loss in ((10, 3.0), (15, 1.0), (20, 2.5))
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, ""]))

    def stops(*evaluations):
        watch = dev_watch.DevWatch(
            RunConfig(eval_every_steps=10, eval_early_stopping_steps=20),
            {"a": ["loss"]},
            str(tmp_path),
            lambda path: None,
            step=25,
        )
        for step, loss in evaluations:
            watch.add(step, {"a": {"loss": loss}})
        return watch.stop_reason is not None

    # 1.0 at step 15 would be the mark; so would 0.1 at step 37.
    assert not stops((30, 2.0), (40, 1.5))
    assert stops((30, 2.5), (37, 0.1), (40, 2.5))
