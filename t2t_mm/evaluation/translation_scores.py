"""BLEU and chrF, as the command `sacrebleu` computes them."""

import collections
import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from etils import epy

from t2t_mm import registry
from t2t_mm.evaluation.bootstrap import Bootstrap
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.evaluation.score import Score
from t2t_mm.evaluation.scorer import Scorer, ratio

with epy.lazy_imports():
    import sacrebleu

_MAX_ORDER = 4  # words in the longest n-gram of BLEU
_CHAR_ORDER = 6  # characters in the longest n-gram of chrF
_RECALL_WEIGHT = 2.0  # beta of chrF


def _streams(references: Sequence[Sequence[str]]) -> Any:
    """Returns the first references of all examples, the second ones, and so on.

    An example that has fewer than others has None there, as sacreBLEU wants it.
    """
    return [list(stream) for stream in itertools.zip_longest(*references)]


@registry.register_score("bleu")
class Bleu(Scorer):
    """SacreBLEU's BLEU, from 0 to 100, with its signature."""

    decimals = 2

    def statistics(self, predictions: Predictions) -> np.ndarray:
        """Returns lengths of output and reference, right n-grams and all n-grams."""
        metric = sacrebleu.metrics.BLEU(force=True)
        found = [
            metric.corpus_score([output], _streams([references]))
            for output, references in zip(
                predictions.outputs, predictions.references, strict=True
            )
        ]
        return np.array([[s.sys_len, s.ref_len, *s.counts, *s.totals] for s in found])

    def formula(self, sums: np.ndarray) -> np.ndarray:
        """Returns what sacreBLEU makes of the sums."""
        rows = sums.reshape([-1, sums.shape[-1]])
        scores = [self._of_sums(row).score for row in rows]
        return np.array(scores).reshape(sums.shape[:-1])

    def _of_sums(self, sums: np.ndarray) -> Any:
        output_length, reference_length, *counts = sums.astype(int).tolist()
        return sacrebleu.metrics.BLEU.compute_bleu(
            correct=counts[:_MAX_ORDER],
            total=counts[_MAX_ORDER:],
            sys_len=output_length,
            ref_len=reference_length,
            smooth_method="exp",
        )

    def signature(self, predictions: Predictions) -> str:
        """Returns sacreBLEU's signature."""
        metric = sacrebleu.metrics.BLEU(force=True)
        metric.corpus_score(predictions.outputs, _streams(predictions.references))
        return str(metric.get_signature())

    def details(self, sums: np.ndarray) -> dict[str, float]:
        """Returns the brevity penalty and the ratio of lengths."""
        found = self._of_sums(sums)
        return {"brevity_penalty": found.bp, "length_ratio": found.ratio}


@registry.register_score("chrf")
class ChrF(Scorer):
    """SacreBLEU's chrF2, from 0 to 100, with its signature."""

    decimals = 2

    def score(
        self, predictions: Predictions, bootstrap: Bootstrap | None = None
    ) -> Score:
        """Returns the score of at least one example; the number is sacreBLEU's own."""
        found = super().score(predictions, bootstrap)
        metric = sacrebleu.metrics.CHRF()
        streams = _streams(predictions.references)
        value = metric.corpus_score(predictions.outputs, streams).score
        return dataclasses.replace(
            found, value=value, signature=str(metric.get_signature())
        )

    def statistics(self, predictions: Predictions) -> np.ndarray:
        """Returns n-grams of outputs, of references and of both, by their length.

        Of several references the one counts that scores highest for its example.
        """
        return np.array(
            [
                max(
                    (_ngram_counts(output, reference) for reference in references),
                    key=self.formula,
                )
                for output, references in zip(
                    predictions.outputs, predictions.references, strict=True
                )
            ]
        )

    def formula(self, sums: np.ndarray) -> np.ndarray:
        """Returns F2 of the mean precision and the mean recall over lengths."""
        # [..., kinds * lengths] -> 3 of [..., lengths]
        outputs, references, both = np.split(sums, 3, axis=-1)
        has_both = (outputs > 0) & (references > 0)
        lengths = has_both.sum(-1)
        precision = ratio((ratio(both, outputs) * has_both).sum(-1), lengths)
        recall = ratio((ratio(both, references) * has_both).sum(-1), lengths)
        weight = _RECALL_WEIGHT**2
        f_score = ratio((1 + weight) * precision * recall, weight * precision + recall)
        return 100 * f_score


def _ngram_counts(output: str, reference: str) -> np.ndarray:
    """Returns numbers of n-grams of characters, `[3 * _CHAR_ORDER]`."""
    counts = np.zeros([3, _CHAR_ORDER])
    texts = ["".join(text.split()) for text in (output, reference)]
    for order in range(1, _CHAR_ORDER + 1):
        found, expected = (
            collections.Counter(
                text[start : start + order] for start in range(len(text) - order + 1)
            )
            for text in texts
        )
        if expected:  # sacreBLEU counts no n-grams that nothing could match
            both = (found & expected).total()
            counts[:, order - 1] = found.total(), expected.total(), both
    return counts.ravel()
