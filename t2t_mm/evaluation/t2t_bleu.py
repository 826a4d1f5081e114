"""BLEU as Tensor2Tensor's `t2t-bleu` computed it, so that its figures can be compared.

Texts are split at punctuation that does not stand between digits, and around symbols,
as mteval-v14 does with --international-tokenization; n-grams of one length that are all
wrong count as half a right one, a quarter at the next such length, and so on. The score
that is reported of our own models is sacreBLEU's: see `translation_scores.py`.
"""

import collections
import functools
import math
import re
import sys
import unicodedata
from collections.abc import Hashable, Iterable, Sequence

_MAX_ORDER = 4  # tokens in the longest n-gram


@functools.cache
def _characters_of(category: str) -> str:
    """Returns a pattern for the characters of a Unicode category, such as "P"."""
    characters = (
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)).startswith(category)
    )
    return f"[{re.escape(''.join(characters))}]"


@functools.cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    punctuation, symbol = _characters_of("P"), _characters_of("S")
    return (
        re.compile(rf"([^\d])({punctuation})"),
        re.compile(rf"({punctuation})([^\d])"),
        re.compile(f"({symbol})"),
    )


def tokenize(text: str) -> list[str]:
    """Returns words, punctuation marks and symbols of a text."""
    after_nondigit, before_nondigit, symbol = _patterns()
    text = after_nondigit.sub(r"\1 \2 ", text)
    text = before_nondigit.sub(r" \1 \2", text)
    return symbol.sub(r" \1 ", text).split()


def bleu_of_texts(
    references: Iterable[str], outputs: Iterable[str], *, cased: bool
) -> float:
    """Returns BLEU of lines of text, from 0 to 1.

    Args:
      references: true lines.
      outputs: as many lines of a model.
      cased: whether capitals count.
    """
    as_tokens = [
        [tokenize(text if cased else text.lower()) for text in texts]
        for texts in (references, outputs)
    ]
    return bleu(*as_tokens)


def bleu(
    references: Sequence[Sequence[Hashable]],
    outputs: Sequence[Sequence[Hashable]],
    *,
    max_order: int = _MAX_ORDER,
    brevity_penalty: bool = True,
) -> float:
    """Returns BLEU of lists of tokens, from 0 to 1 (Papineni et al. 2002).

    Args:
      references: tokens of the true texts.
      outputs: tokens of as many texts of a model.
      max_order: tokens in the longest n-gram.
      brevity_penalty: whether outputs that are too short are punished.
    """
    right, possible = [0] * max_order, [0] * max_order
    for reference, output in zip(references, outputs, strict=True):
        expected, found = (_ngrams(x, max_order) for x in (reference, output))
        for ngram, count in found.items():
            possible[len(ngram) - 1] += count
            right[len(ngram) - 1] += min(count, expected[ngram])
    score = _geometric_mean(_smoothed(right, possible))
    lengths = [sum(map(len, texts)) for texts in (outputs, references)]
    return score * _brevity_penalty(*lengths) if brevity_penalty else score


def _ngrams(
    tokens: Sequence[Hashable], max_order: int
) -> "collections.Counter[tuple[Hashable, ...]]":
    return collections.Counter(
        tuple(tokens[start : start + order])
        for order in range(1, max_order + 1)
        for start in range(len(tokens) - order + 1)
    )


def _smoothed(right: Sequence[int], possible: Sequence[int]) -> list[float]:
    """Returns the precision of each length; 0 for lengths that do not occur."""
    precisions, share = [], 1.0
    for count, whole in zip(right, possible, strict=True):
        if whole and not count:
            share /= 2
        precisions.append((count or share) / whole if whole else 0.0)
    return precisions


def _geometric_mean(precisions: Sequence[float]) -> float:
    """Returns the mean; lengths that do not occur count as right."""
    if not any(precisions):
        return 0.0
    logarithms = sum(math.log(precision) for precision in precisions if precision)
    return math.exp(logarithms / len(precisions))


def _brevity_penalty(output_length: int, reference_length: int) -> float:
    if output_length >= reference_length:
        return 1.0
    return math.exp(1.0 - reference_length / output_length) if output_length else 0.0
