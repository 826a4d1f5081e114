"""What an evaluation says: a number, how sure it is, and how it was computed."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a score would lie for other examples like those that were scored.

    Attributes:
      low: its lower end.
      high: its upper end.
      confidence: share of such intervals that hold the true value.
    """

    low: float
    high: float
    confidence: float = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """How good outputs are, by one measure.

    Attributes:
      value: the number.
      higher_is_better: whether a better output raises it; an error rate falls.
      examples: how many examples it is of.
      interval: how sure the number is; None if that was not asked for.
      signature: how it was computed, where its name leaves that open.
      details: numbers that belong to it, such as precision and recall.
      decimals: how many of them a reader is shown.
    """

    value: float
    higher_is_better: bool
    examples: int
    interval: Interval | None = None
    signature: str = ""
    details: Mapping[str, float] = dataclasses.field(default_factory=dict)
    decimals: int = 4

    def format(self, value: float) -> str:
        """Returns a number on the scale of this score for a reader."""
        return f"{value:.{self.decimals}f}"

    def format_interval(self) -> str:
        """Returns the interval for a reader; nothing if there is none."""
        if self.interval is None:
            return ""
        return f"{self.format(self.interval.low)} to {self.format(self.interval.high)}"

    def __str__(self) -> str:
        """Returns the number and whatever else there is, on one line."""
        details = [f"{name} {number:.4g}" for name, number in self.details.items()]
        if self.interval is not None:
            percent = f"{100 * self.interval.confidence:g} %"
            details.insert(0, f"{percent} interval {self.format_interval()}")
        details += [self.signature] if self.signature else []
        return f"{self.format(self.value)} ({'; '.join([*details, self._count()])})"

    def _count(self) -> str:
        return f"{self.examples} example{'s' if self.examples != 1 else ''}"

    def to_json(self) -> dict[str, Any]:
        """Returns everything but what only a reader needs, as JSON values."""
        values = dataclasses.asdict(self)
        del values["decimals"]
        return values
