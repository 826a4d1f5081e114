"""CIDEr and ROUGE-L, by which captions of images are compared.

The formulas, with their constants, are those of the COCO caption evaluation (Chen et
al., arXiv:1504.00325). Words are found in a simpler way than by its Penn Treebank
tokenizer, so numbers are only nearly those of its server: text is lower-cased, words
are letters, digits, apostrophes and hyphens, punctuation is left out.
"""

import collections
import math
import re
from collections.abc import Sequence

import numpy as np

from t2t_mm import registry
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.evaluation.scorer import MeanScorer

_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_MAX_ORDER = 4  # words in the longest n-gram of CIDEr
_LENGTH_DEVIATION = 6.0  # in words; sigma of CIDEr-D
_CIDER_SCALE = 10.0
_RECALL_WEIGHT = 1.2  # beta of ROUGE-L
_WORDS = "tok:words|case:lc"

Ngram = tuple[str, ...]


def words(text: str) -> list[str]:
    """Returns the words of a text in lower case, without punctuation."""
    return _WORD.findall(text.lower())


@registry.register_score("rouge_l")
class RougeL(MeanScorer):
    """Mean F of the longest common subsequence of words, from 0 to 1 (Lin 2004).

    Of several references the best precision and the best recall count.
    """

    def values(self, predictions: Predictions) -> np.ndarray:
        """Returns the score of each example."""
        return np.array(
            [
                _rouge_l(words(output), [words(reference) for reference in references])
                for output, references in zip(
                    predictions.outputs, predictions.references, strict=True
                )
            ]
        )

    def signature(self, predictions: Predictions) -> str:
        """Returns the weight of recall and what words are."""
        return f"beta:{_RECALL_WEIGHT}|{_WORDS}"


def _rouge_l(output: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    if not output:
        return 0.0
    common = [longest_common_subsequence(output, other) for other in references]
    precision = max(length / len(output) for length in common)
    recall = max(
        length / max(len(other), 1)
        for length, other in zip(common, references, strict=True)
    )
    weight = _RECALL_WEIGHT**2
    if not precision:
        return 0.0
    return (1 + weight) * precision * recall / (recall + weight * precision)


def longest_common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Returns how many words two texts have in common in the same order."""
    lengths = [0] * (len(second) + 1)  # with the beginnings of `second`
    for word in first:
        before = 0
        for position, other in enumerate(second, 1):
            above = lengths[position]
            best = max(above, lengths[position - 1])
            lengths[position] = before + 1 if word == other else best
            before = above
    return lengths[-1]


@registry.register_score("cider")
class Cider(MeanScorer):
    """CIDEr-D, from 0 to 10 (Vedantam et al., arXiv:1411.5726).

    The mean cosine between n-grams of output and reference, weighed by how few examples
    have them in their references. So a score hangs on the set of examples: of a single
    one it is always 0.
    """

    def values(self, predictions: Predictions) -> np.ndarray:
        """Returns the score of each example."""
        references = [
            [_ngrams(words(reference)) for reference in of_example]
            for of_example in predictions.references
        ]
        rarity = _Rarity(references)
        return np.array(
            [
                _cider(_ngrams(words(output)), of_example, rarity)
                for output, of_example in zip(
                    predictions.outputs, references, strict=True
                )
            ]
        )

    def signature(self, predictions: Predictions) -> str:
        """Returns which CIDEr it is, where rarity is from and what words are."""
        return f"CIDEr-D|df:references|sigma:{_LENGTH_DEVIATION:g}|{_WORDS}"


def _ngrams(tokens: Sequence[str]) -> "collections.Counter[Ngram]":
    """Returns how often a text has each sequence of up to `_MAX_ORDER` words."""
    return collections.Counter(
        tuple(tokens[start : start + order])
        for order in range(1, _MAX_ORDER + 1)
        for start in range(len(tokens) - order + 1)
    )


class _Rarity:
    """How few examples have an n-gram in their references."""

    def __init__(
        self, references: Sequence[Sequence["collections.Counter[Ngram]"]]
    ) -> None:
        self._log_examples = math.log(len(references))
        self._examples = collections.Counter(
            ngram for of_example in references for ngram in set().union(*of_example)
        )

    def weigh(self, ngrams: "collections.Counter[Ngram]") -> list[dict[Ngram, float]]:
        """Returns the weights of n-grams by their number of words."""
        weights: list[dict[Ngram, float]] = [{} for _ in range(_MAX_ORDER)]
        for ngram, count in ngrams.items():
            rarity = self._log_examples - math.log(max(1, self._examples[ngram]))
            weights[len(ngram) - 1][ngram] = count * rarity
        return weights


def _cider(
    output: "collections.Counter[Ngram]",
    references: Sequence["collections.Counter[Ngram]"],
    rarity: _Rarity,
) -> float:
    weights = rarity.weigh(output)
    total = 0.0
    for reference in references:
        difference = _num_bigrams(output) - _num_bigrams(reference)
        penalty = math.exp(-(difference**2) / (2 * _LENGTH_DEVIATION**2))
        similarity = map(_clipped_cosine, weights, rarity.weigh(reference))
        total += penalty * sum(similarity) / _MAX_ORDER
    return _CIDER_SCALE * total / len(references)


def _num_bigrams(ngrams: "collections.Counter[Ngram]") -> int:
    """Returns the length that CIDEr-D compares: of pairs of words, as COCO does."""
    return sum(count for ngram, count in ngrams.items() if len(ngram) == 2)


def _clipped_cosine(output: dict[Ngram, float], reference: dict[Ngram, float]) -> float:
    """Returns the cosine; a weight of the output counts up to the reference's."""
    norms = math.hypot(*output.values()) * math.hypot(*reference.values())
    if not norms:
        return 0.0
    return (
        sum(
            min(weight, reference[ngram]) * reference[ngram]
            for ngram, weight in output.items()
            if ngram in reference
        )
        / norms
    )
