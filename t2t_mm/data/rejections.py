"""Counting the samples of a corpus that made no record."""

import collections
import dataclasses
from collections.abc import Iterable

from t2t_mm.problem import Rejected

MAX_REASONS = 20  # further ones are counted together
MAX_NAMES = 3  # of samples, kept for each reason
OTHER_REASONS = "other reasons"
# A corpus is given up half-way only if it is hopeless, not for a bad stretch.
SAMPLES_BEFORE_GIVING_UP = 200
HOPELESS_SHARE = 0.5


@dataclasses.dataclass(frozen=True)
class Reason:
    """How often a reason was given.

    Attributes:
      count: number of samples.
      names: the first of them.
      harmless: whether they do not count as bad.
    """

    count: int
    names: tuple[str, ...]
    harmless: bool


@dataclasses.dataclass
class Rejections:
    """How many samples were seen and which of them rejected.

    Attributes:
      num_samples: all samples, rejected ones included.
      reasons: what was rejected, by reason.
    """

    num_samples: int = 0
    reasons: dict[str, Reason] = dataclasses.field(default_factory=dict)

    @property
    def num_bad(self) -> int:
        """Number of samples rejected for a reason that is not harmless."""
        return sum(r.count for r in self.reasons.values() if not r.harmless)

    def add(self, rejected: Rejected) -> None:
        """Counts one sample that was rejected; `num_samples` is not changed."""
        self._add(rejected.reason, Reason(1, (rejected.name,), rejected.harmless))

    def _add(self, reason: str, more: Reason) -> None:
        if reason not in self.reasons and len(self.reasons) >= MAX_REASONS:
            reason = OTHER_REASONS
        known = self.reasons.get(reason, Reason(0, (), more.harmless))
        names = (*known.names, *more.names)[:MAX_NAMES]
        count = known.count + more.count
        harmless = known.harmless and more.harmless
        self.reasons[reason] = Reason(count, names, harmless)

    def update(self, other: "Rejections") -> None:
        """Adds the counts of `other`."""
        self.num_samples += other.num_samples
        for reason, more in other.reasons.items():
            self._add(reason, more)

    def lines(self) -> Iterable[str]:
        """Yields a readable line per reason, the most frequent first."""
        ordered = collections.Counter({k: r.count for k, r in self.reasons.items()})
        for reason, count in ordered.most_common():
            names = ", ".join(f"'{name}'" for name in self.reasons[reason].names)
            yield f"{count} for: {reason.rstrip('.')} (such as {names})"

    def check(self, label: str, max_bad_percent: float, *, is_whole: bool) -> None:
        """Refuses a corpus that has too many bad samples.

        Args:
          label: whose samples they are.
          max_bad_percent: largest share of bad samples.
          is_whole: whether all samples have been seen; if not, only a hopeless corpus
            is refused.

        Raises:
          ValueError: naming the reasons and the first samples of each.
        """
        allowed = max_bad_percent / 100
        if not is_whole:
            if self.num_samples < SAMPLES_BEFORE_GIVING_UP:
                return
            allowed = max(allowed, HOPELESS_SHARE)
        if self.num_bad <= allowed * self.num_samples:
            return
        so_far = "" if is_whole else " so far"
        raise ValueError(
            f"{self.num_bad} of {self.num_samples} samples of {label}{so_far} are bad, "
            f"more than --max_bad_percent={max_bad_percent:g} allows. Mend the corpus, "
            f"or allow more. Left out were {'; '.join(self.lines())}."
        )

    def to_json(self) -> dict[str, list[object]]:
        """Returns count, first names and harmlessness by reason."""
        return {
            reason: [entry.count, list(entry.names), entry.harmless]
            for reason, entry in sorted(self.reasons.items())
        }
