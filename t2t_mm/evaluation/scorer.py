"""Base class of scores of decoded outputs.

A score is computed in two steps, so that one way leads to the number and to how sure it
is: of every example some numbers that add up over examples, such as errors and words,
and of their sums the score, such as the word error rate.
"""

import abc
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from t2t_mm.evaluation.bootstrap import Bootstrap
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.evaluation.score import Score


class Scorer(abc.ABC):
    """A measure of outputs; `registry.register_score` gives it its name.

    Attributes:
      higher_is_better: whether a better output raises it.
      decimals: how many of them a reader is shown.
      needs_candidates: whether it reads `Predictions.candidates`.
    """

    higher_is_better: ClassVar[bool] = True
    decimals: ClassVar[int] = 4
    needs_candidates: ClassVar[bool] = False

    def score(
        self, predictions: Predictions, bootstrap: Bootstrap | None = None
    ) -> Score:
        """Returns the score of at least one example.

        Args:
          predictions: what to score.
          bootstrap: how to find out how sure it is; None to leave that open.
        """
        statistics = np.asarray(self.statistics(predictions), np.float64)
        sums = statistics.sum(0)
        interval = None
        if bootstrap is not None:
            interval = bootstrap.interval(statistics, self.formula)
        return Score(
            value=float(self.formula(sums)),
            higher_is_better=self.higher_is_better,
            examples=len(predictions.outputs),
            interval=interval,
            signature=self.signature(predictions),
            details=self.details(sums),
            decimals=self.decimals,
        )

    @abc.abstractmethod
    def statistics(self, predictions: Predictions) -> np.ndarray:
        """Returns what of each example adds up, `[examples, numbers]`."""

    @abc.abstractmethod
    def formula(self, sums: np.ndarray) -> np.ndarray:
        """Returns the scores `[...]` of sums of statistics, `[..., numbers]`."""

    def signature(self, predictions: Predictions) -> str:
        """Returns how the score is computed, where its name leaves that open."""
        return ""

    def details(self, sums: np.ndarray) -> Mapping[str, float]:
        """Returns numbers that belong to the score, from sums `[numbers]`."""
        return {}


class MeanScorer(Scorer):
    """A score that is the mean of the scores of the examples."""

    @abc.abstractmethod
    def values(self, predictions: Predictions) -> np.ndarray:
        """Returns the score of each example, `[examples]`."""

    def statistics(self, predictions: Predictions) -> np.ndarray:
        """Returns the score of each example and 1, `[examples, 2]`."""
        values = np.asarray(self.values(predictions), np.float64)
        return np.stack([values, np.ones_like(values)], 1)

    def formula(self, sums: np.ndarray) -> np.ndarray:
        """Returns the means."""
        return ratio(sums[..., 0], sums[..., 1])


def ratio(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Returns the quotient; 0 where there is nothing to divide by."""
    wholes = np.asarray(wholes, np.float64)
    return np.where(wholes > 0, parts / np.where(wholes > 0, wholes, 1.0), 0.0)
