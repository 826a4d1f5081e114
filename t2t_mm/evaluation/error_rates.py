"""Error rates of speech recognition: edits of all outputs per true unit."""

import importlib.metadata

import numpy as np
from etils import epy

from t2t_mm import registry
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.evaluation.scorer import Scorer, ratio

with epy.lazy_imports():
    import jiwer


class _ErrorRate(Scorer):
    """Substitutions, deletions and insertions per unit of the references.

    Of several references the one counts from which the rate of the example is lowest.
    """

    higher_is_better = False

    def alignment(
        self, reference: str, output: str
    ) -> "jiwer.WordOutput | jiwer.CharacterOutput":
        """Returns jiwer's alignment of one output."""
        raise NotImplementedError

    def statistics(self, predictions: Predictions) -> np.ndarray:
        """Returns substitutions, deletions, insertions and true units."""
        return np.array(
            [
                min(
                    (self._edits(reference, output) for reference in references),
                    key=lambda counts: sum(counts[:3]) / max(counts[3], 1),
                )
                for output, references in zip(
                    predictions.outputs, predictions.references, strict=True
                )
            ],
            np.float64,
        )

    def _edits(self, reference: str, output: str) -> tuple[int, int, int, int]:
        found = self.alignment(reference, output)
        units = found.hits + found.substitutions + found.deletions
        return found.substitutions, found.deletions, found.insertions, units

    def formula(self, sums: np.ndarray) -> np.ndarray:
        """Returns edits per true unit; insertions may raise it above 1."""
        return ratio(sums[..., :3].sum(-1), sums[..., 3])

    def signature(self, predictions: Predictions) -> str:
        """Returns the version of jiwer."""
        return f"jiwer:{importlib.metadata.version('jiwer')}"

    def details(self, sums: np.ndarray) -> dict[str, float]:
        """Returns how many edits of each kind there are."""
        kinds = ("substitutions", "deletions", "insertions", "true_units")
        return dict(zip(kinds, sums.tolist(), strict=True))


@registry.register_score("cer")
class CharacterErrorRate(_ErrorRate):
    """Edits of all outputs per true character."""

    def alignment(self, reference: str, output: str) -> "jiwer.CharacterOutput":
        """Returns jiwer's alignment of the characters of one output."""
        return jiwer.process_characters(reference, output)


@registry.register_score("wer")
class WordErrorRate(_ErrorRate):
    """Edits of all outputs per true word."""

    def alignment(self, reference: str, output: str) -> "jiwer.WordOutput":
        """Returns jiwer's alignment of the words of one output."""
        return jiwer.process_words(reference, output)
