"""Shares of outputs that are right to the letter."""

import numpy as np

from t2t_mm import registry
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.evaluation.scorer import MeanScorer

_TOP = 5


class _Equality(MeanScorer):
    """Share of the outputs that equal a reference of theirs."""

    def values(self, predictions: Predictions) -> np.ndarray:
        """Returns 1 or 0 for each example."""
        return np.array(
            [
                output in references
                for output, references in zip(
                    predictions.outputs, predictions.references, strict=True
                )
            ],
            np.float64,
        )


@registry.register_score("exact")
class Exact(_Equality):
    """Share of texts that equal a reference of theirs."""


@registry.register_score("top1")
class Top1(_Equality):
    """Share of examples whose likeliest class is the right one."""


@registry.register_score("top5")
class Top5(MeanScorer):
    """Share of examples whose right class is among the five likeliest."""

    needs_candidates = True

    def values(self, predictions: Predictions) -> np.ndarray:
        """Returns 1 or 0 for each example."""
        if predictions.candidates is None:
            raise ValueError("top5 needs the likeliest classes; there are none.")
        return np.array(
            [
                not set(references).isdisjoint(candidates[:_TOP])
                for candidates, references in zip(
                    predictions.candidates, predictions.references, strict=True
                )
            ],
            np.float64,
        )
