"""How sure a score is, from drawing the examples again and again.

The percentile bootstrap (Efron 1979; for BLEU: Koehn 2004): as many examples as there
are get drawn with replacement, and their score is computed; between which values most
of many such scores lie is the interval. It knows nothing of what another run of the
training would give.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from t2t_mm.evaluation.score import Interval


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """How to compute intervals.

    Attributes:
      resamples: how often the examples are drawn again.
      confidence: share of the resampled scores that the interval holds.
      seed: of the drawing.
    """

    resamples: int = 1000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
          ValueError: naming the field and its value.
        """
        if self.resamples < 1:
            raise ValueError(f"`resamples` must be at least 1; got {self.resamples}.")
        if not 0.0 < self.confidence < 1.0:
            raise ValueError(
                f"`confidence` must lie between 0 and 1; got {self.confidence}."
            )

    def interval(
        self,
        statistics: np.ndarray,
        formula: Callable[[np.ndarray], np.ndarray],
    ) -> Interval:
        """Returns where the score of other examples like these would lie.

        Args:
          statistics: `[examples, numbers]`, what of each example adds up.
          formula: maps sums `[resamples, numbers]` to scores `[resamples]`.
        """
        scores = formula(self.resampled_sums(statistics))
        margin = (1.0 - self.confidence) / 2
        low, high = np.quantile(scores, [margin, 1.0 - margin])
        return Interval(low=float(low), high=float(high), confidence=self.confidence)

    def resampled_sums(self, statistics: np.ndarray) -> np.ndarray:
        """Returns the sums over each drawing of the examples, `[resamples, numbers]`.

        One drawing is in memory at a time: a large test set has many examples.
        """
        random = np.random.default_rng(self.seed)
        size = len(statistics)
        sums = np.zeros([self.resamples, statistics.shape[1]])
        for row in sums:
            drawn = np.bincount(random.integers(size, size=size), minlength=size)
            row[:] = drawn @ statistics
        return sums
