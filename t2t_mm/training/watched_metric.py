"""A metric that decides something: its name, and which way is better."""

import dataclasses
import difflib
import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from t2t_mm.evaluation import scores

# Of metrics that see the true previous target; scores of outputs say it themselves.
_LOWER = re.compile(r"loss|error|perplexity|distance|mse")
_HIGHER = re.compile(r"accuracy|neg_log_perplexity|precision|recall|f1")
_DIRECTIONS = {"max": True, "min": False}

Results = Mapping[str, Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class WatchedMetric:
    """A metric of one problem, or the mean over all problems that have it.

    Attributes:
      name: of the metric.
      problem: its problem; None for the mean.
      higher_is_better: which way is better.
    """

    name: str
    problem: str | None
    higher_is_better: bool

    def __str__(self) -> str:
        """Returns the name as `parse` reads it, without the direction."""
        return self.name if self.problem is None else f"{self.problem}/{self.name}"

    def value(self, results: Results) -> float | None:
        """Returns the value in {problem: {metric: value}}; None if it has none."""
        if self.problem is not None:
            return results.get(self.problem, {}).get(self.name)
        values = [row[self.name] for row in results.values() if self.name in row]
        return math.fsum(values) / len(values) if values else None

    def is_comparable(self, results: Results, problems: Collection[str]) -> bool:
        """Returns whether values in `results` go with those of a run of `problems`.

        A mean over other problems does not.
        """
        return self.problem is not None or results.keys() == set(problems)

    def gain(self, value: float, reference: float) -> float:
        """Returns how much better `value` is than `reference`; NaN if either is."""
        return value - reference if self.higher_is_better else reference - value


def parse(
    flag: str,
    text: str,
    available: Mapping[str, Sequence[str]],
    *,
    higher_is_better: bool | None = None,
) -> WatchedMetric:
    """Returns the metric that a flag names.

    Args:
      flag: its name, for messages.
      text: "problem/metric", or "metric" for the mean over problems; ":max" or ":min"
        may follow.
      available: names of the metrics of every problem.
      higher_is_better: which way is better; None to go by `text`, or by the name.

    Raises:
      ValueError: if there is no such metric, or its name does not tell the direction.
    """
    full_name, _, direction = text.strip().partition(":")
    if direction and direction not in _DIRECTIONS:
        raise ValueError(
            f"`{flag}` may say ':max' or ':min' after a metric; got '{text}'."
        )
    problem, slash, name = full_name.rpartition("/")
    known = {f"{p}/{metric}" for p, names in available.items() for metric in names}
    known |= {metric for names in available.values() for metric in names}
    if full_name not in known:
        close = difflib.get_close_matches(full_name, sorted(known), 1, 0.4)
        hint = f"Did you mean '{close[0]}'? " if close else ""
        if name.startswith(scores.DECODED):
            hint = "Scores of decoded outputs need --eval_decode. "
        raise ValueError(
            f"`{flag}` must name a metric of the run; got '{full_name}'. {hint}There "
            f"are: {', '.join(sorted(known))}."
        )
    if direction:
        higher_is_better = _DIRECTIONS[direction]
    if higher_is_better is None:
        higher_is_better = is_higher_better(name)
    if higher_is_better is None:
        raise ValueError(
            f"The name '{name}' does not say whether more or less of it is better: "
            f"`{flag}` must say '{name}:max' or '{name}:min'."
        )
    return WatchedMetric(name, problem if slash else None, higher_is_better)


def is_higher_better(name: str) -> bool | None:
    """Returns which way a metric is better by its name; None if that does not tell.

    Raises:
      LookupError: for a score of decoded outputs that there is not.
    """
    if name.startswith(scores.DECODED):
        return scores.scorer(name.removeprefix(scores.DECODED)).higher_is_better
    if _HIGHER.search(name):
        return True
    return False if _LOWER.search(name) else None
