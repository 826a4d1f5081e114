"""Scores of decoded outputs by name, those of `Problem.scores`."""

from collections.abc import Sequence

from t2t_mm import registry
from t2t_mm.evaluation import (  # noqa: F401 - they register the scores
    caption_scores,
    equality,
    error_rates,
    translation_scores,
    tree_scores,
)
from t2t_mm.evaluation.bootstrap import Bootstrap
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.evaluation.score import Score
from t2t_mm.evaluation.scorer import Scorer

DECODED = "decoded_"  # what a score is called among metrics that see the true targets


def scorer(name: str) -> Scorer:
    """Returns the registered score of a name.

    Raises:
      LookupError: if there is no such score.
      TypeError: if what is registered is no `Scorer`.
    """
    scorer_cls = registry.SCORES.get(name)
    if not (isinstance(scorer_cls, type) and issubclass(scorer_cls, Scorer)):
        raise TypeError(
            f"The score '{name}' must be a subclass of Scorer, of "
            f"t2t_mm/evaluation/scorer.py; it is {scorer_cls!r}."
        )
    return scorer_cls()


def score(
    names: Sequence[str],
    predictions: Predictions,
    bootstrap: Bootstrap | None = None,
) -> dict[str, Score]:
    """Returns scores by name; none if nothing was decoded.

    A score that needs candidates is left out where the predictions have none.

    Args:
      names: those of registered scores, such as `Problem.scores`.
      predictions: outputs of a model beside what is right.
      bootstrap: how to find out how sure they are; None to leave that open.

    Raises:
      LookupError: if there is no such score.
    """
    scorers = {name: scorer(name) for name in names}
    if not predictions.outputs:
        return {}
    return {
        name: entry.score(predictions, bootstrap)
        for name, entry in scorers.items()
        if predictions.candidates is not None or not entry.needs_candidates
    }
