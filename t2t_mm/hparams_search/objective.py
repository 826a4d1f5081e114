"""What a search looks for: one number of a run, the higher or the lower the better."""

import dataclasses
import json
import math
import os

from t2t_mm.training import watched_metric

_METRICS_FILE = "metrics.jsonl"
_SPLIT = "dev"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """A metric on dev.

    Attributes:
      metric: its name, as the run records it.
      problem: whose; None for the mean over the problems.
      maximize: whether higher is better.
    """

    metric: str
    problem: str | None
    maximize: bool

    def __str__(self) -> str:
        """Returns what `parse` reads."""
        return self.metric if self.problem is None else f"{self.problem}/{self.metric}"

    def values(self, output_dir: str) -> dict[int, float]:
        """Returns the values recorded by a run so far, by step.

        Raises:
          ValueError: if dev was evaluated without such a metric; names those there are.
        """
        rows = _read_rows(output_dir)
        by_step: dict[int, list[float]] = {}
        for row in rows:
            if self.problem in (None, row["problem"]) and self.metric in row:
                by_step.setdefault(row["step"], []).append(row[self.metric])
        if rows and not by_step:
            known = {
                f"{row['problem']}/{name}"
                for row in rows
                for name, value in row.items()
                if isinstance(value, float)
            }
            raise ValueError(
                f"--autotune_objective must be a metric on dev; got '{self}'. There "
                f"are: {', '.join(sorted(known))}; without a problem, the mean."
            )
        return {step: math.fsum(v) / len(v) for step, v in sorted(by_step.items())}


def parse(text: str, maximize: bool | None) -> Objective:
    """Returns the objective of "problem/metric", or "metric" for a mean.

    Args:
      text: what to look for.
      maximize: whether higher is better; None to go by the name.

    Raises:
      LookupError: for a score of decoded outputs that there is not.
      ValueError: if the name does not tell.
    """
    problem, _, metric = text.rpartition("/")
    if maximize is None:
        maximize = watched_metric.is_higher_better(metric)
    if maximize is None:
        raise ValueError(
            f"The name '{metric}' does not say whether more or less of it is better: "
            "give --autotune_maximize or --noautotune_maximize."
        )
    return Objective(metric=metric, problem=problem or None, maximize=maximize)


def _read_rows(output_dir: str) -> list[dict]:
    """Returns the evaluations on dev; a line that is being written is left out."""
    path = os.path.join(output_dir, _METRICS_FILE)
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")[:-1]
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if row["split"] == _SPLIT]
