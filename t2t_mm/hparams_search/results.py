"""What a search found, as a table for people and as a file."""

import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from t2t_mm import hparam_range
from t2t_mm.training.watched_metric import WatchedMetric

FILE = "search.tsv"


class Row(NamedTuple):
    """A trial.

    Attributes:
      trial: its number.
      state: "complete", "pruned" or "fail".
      step: of the last evaluation.
      value: of the objective in it; None if there was none.
      hparams: what was searched.
    """

    trial: int
    state: str
    step: int
    value: float | None
    hparams: dict[str, Any]


def sort(rows: Sequence[Row], objective: WatchedMetric) -> list[Row]:
    """Returns the best trial first: those that ended, then those that were stopped."""

    def key(row: Row) -> tuple[int, float]:
        group = ("complete", "pruned", "fail").index(row.state)
        if row.value is None or math.isnan(row.value):
            return group, math.inf
        return group, -row.value if objective.higher_is_better else row.value

    return sorted(rows, key=key)


def _cells(rows: Sequence[Row], objective: WatchedMetric) -> list[list[str]]:
    names = list(dict.fromkeys(name for row in rows for name in row.hparams))
    header = ["trial", "state", "step", str(objective), *names]
    lines = [header]
    for row in sort(rows, objective):
        value = "" if row.value is None else f"{row.value:.6g}"
        settings = [
            f"{row.hparams[n]:.4g}"
            if isinstance(row.hparams[n], float)
            else str(row.hparams[n])
            for n in names
        ]
        lines.append([str(row.trial), row.state, str(row.step), value, *settings])
    return lines


def write(rows: Sequence[Row], objective: WatchedMetric, output_dir: str) -> None:
    """Writes `search.tsv`, whole or not at all."""
    path = os.path.join(output_dir, FILE)
    with open(f"{path}.partial", "w", encoding="utf-8") as file:
        file.writelines("\t".join(line) + "\n" for line in _cells(rows, objective))
    os.replace(f"{path}.partial", path)


def format_table(rows: Sequence[Row], objective: WatchedMetric) -> str:
    """Returns a table, and the settings of the best trial as a flag."""
    lines = _cells(rows, objective)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    table = [
        "  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    best = next((r for r in sort(rows, objective) if r.state == "complete"), None)
    if best is None:
        return "\n".join([*table, "", "No trial has ended."])
    flag = hparam_range.to_overrides(best.hparams)
    return "\n".join([*table, "", f"The best: --hparams='{flag}'"])
