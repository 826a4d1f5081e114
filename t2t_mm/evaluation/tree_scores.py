"""Scores of parses, linearised trees."""

import dataclasses

import numpy as np

from t2t_mm import registry
from t2t_mm.evaluation import bracketing
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.evaluation.scorer import Scorer

_FIELDS = tuple(field.name for field in dataclasses.fields(bracketing.Score))


class _TreeScorer(Scorer):
    """A score of brackets; of several references the first counts."""

    def statistics(self, predictions: Predictions) -> np.ndarray:
        """Returns the counts of `bracketing.Score` of each example."""
        return np.array(
            [
                dataclasses.astuple(bracketing.score_symbols([reference], [output]))
                for reference, output in zip(
                    predictions.first_references(), predictions.outputs, strict=True
                )
            ],
            np.float64,
        )

    def of_counts(self, counts: bracketing.Score) -> float:
        """Returns the score of counts over examples."""
        raise NotImplementedError

    def formula(self, sums: np.ndarray) -> np.ndarray:
        """Returns the scores of sums of counts."""
        rows = sums.reshape([-1, sums.shape[-1]])
        scores = [self.of_counts(_counts(row)) for row in rows]
        return np.array(scores).reshape(sums.shape[:-1])


def _counts(sums: np.ndarray) -> bracketing.Score:
    return bracketing.Score(
        **{
            name: round(value)
            for name, value in zip(_FIELDS, sums.tolist(), strict=True)
        }
    )


@registry.register_score("well_formed")
class WellFormed(_TreeScorer):
    """Share of outputs that are trees over the words of their reference."""

    def of_counts(self, counts: bracketing.Score) -> float:
        """Returns the share."""
        return counts.well_formed


@registry.register_score("labelled_f1")
class LabelledF1(_TreeScorer):
    """F1 of labelled brackets, in percent, as EVALB counts them with COLLINS.prm.

    An output that is no tree counts as one without brackets.
    """

    decimals = 2

    def of_counts(self, counts: bracketing.Score) -> float:
        """Returns F1 in percent."""
        return 100 * counts.f1

    def signature(self, predictions: Predictions) -> str:
        """Returns whose rules these are."""
        return "EVALB:COLLINS.prm|no tree:no brackets"

    def details(self, sums: np.ndarray) -> dict[str, float]:
        """Returns precision and recall, and shares of whole sentences, in percent."""
        counts = _counts(sums)
        return {
            "precision": 100 * counts.precision,
            "recall": 100 * counts.recall,
            "complete_match": 100 * counts.complete,
            "no_tree": 100 * (1.0 - counts.well_formed),
        }
