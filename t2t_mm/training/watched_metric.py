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
        values = [results[problem][self.name] for problem in self.problems(results)]
        return math.fsum(values) / len(values) if values else None

    def problems(self, names: Mapping[str, Collection[str]]) -> list[str]:
        """Returns the problems whose metric it is, or that its mean is over.

        Values that are of other problems do not compare.

        Args:
          names: of metrics by problem, or {problem: {metric: value}}.
        """
        return sorted(
            problem
            for problem, metrics in names.items()
            if self.problem in (None, problem) and self.name in metrics
        )

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
    """Returns the metric of a run that a flag names.

    Args:
      flag: its name, for messages.
      text: as `parse_name` reads it.
      available: names of the metrics of every problem.
      higher_is_better: as for `parse_name`.

    Raises:
      ValueError: if there is no such metric, or its name does not tell the direction.
    """
    check_known(flag, text.strip().partition(":")[0], available)
    return parse_name(flag, text, higher_is_better=higher_is_better)


def check_known(
    flag: str, full_name: str, available: Mapping[str, Collection[str]]
) -> None:
    """Checks that a run has a metric.

    Args:
      flag: the flag that names it, for messages.
      full_name: without a direction.
      available: names of the metrics of every problem.

    Raises:
      ValueError: naming those that there are, if not.
    """
    known = {f"{p}/{metric}" for p, names in available.items() for metric in names}
    known |= {metric for names in available.values() for metric in names}
    if full_name in known:
        return
    close = difflib.get_close_matches(full_name, sorted(known), 1, 0.4)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    if full_name.rpartition("/")[2].startswith(scores.DECODED):
        hint = "Scores of decoded outputs need --eval_decode. "
    raise ValueError(
        f"`{flag}` must name a metric of the run; got '{full_name}'. {hint}There "
        f"are: {', '.join(sorted(known))}."
    )


def parse_name(
    flag: str, text: str, *, higher_is_better: bool | None = None
) -> WatchedMetric:
    """Returns the metric that a flag names, whether or not a run has it.

    Args:
      flag: its name, for messages.
      text: "problem/metric", or "metric" for the mean over problems; ":max" or ":min"
        may follow.
      higher_is_better: which way is better; None to go by `text`, or by the name.

    Raises:
      LookupError: for a score of decoded outputs that there is not.
      ValueError: if the name does not tell the direction.
    """
    full_name, _, direction = text.strip().partition(":")
    if direction and direction not in _DIRECTIONS:
        raise ValueError(
            f"`{flag}` may say ':max' or ':min' after a metric; got '{text}'."
        )
    problem, slash, name = full_name.rpartition("/")
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
