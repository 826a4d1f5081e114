"""Labelled brackets that two trees over the same words have in common.

Counted as EVALB does with COLLINS.prm, by which published parsers are compared: TOP
does not count, nor does punctuation, ADVP and PRT are the same, and a constituent of
nothing but punctuation is none. Unlike EVALB, the tags of the reference decide what is
punctuation in both trees, and an output that is no tree counts as one without brackets.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from t2t_mm.data import trees

UNCOUNTED_LABELS = frozenset({trees.TOP})
PUNCTUATION_TAGS = frozenset({",", ":", "``", "''", ".", "?", "!"})
SAME_LABELS = {"PRT": "ADVP"}


class Bracket(NamedTuple):
    """A constituent by its label and the positions of the words in it.

    Attributes:
      label: its label.
      start: number of words, punctuation aside, before it.
      end: number of words before what follows it.
    """

    label: str
    start: int
    end: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Score:
    """Counts over sentences; scores add up.

    Attributes:
      sentences: all of them.
      ill_formed: those whose output is not a tree over their words.
      equal: those whose output has the brackets of the reference and no others.
      matched: brackets that an output shares with its reference.
      in_references: brackets of the references.
      in_outputs: brackets of the outputs.
    """

    sentences: int = 0
    ill_formed: int = 0
    equal: int = 0
    matched: int = 0
    in_references: int = 0
    in_outputs: int = 0

    def __add__(self, other: "Score") -> "Score":
        """Returns the counts of both."""
        mine, others = dataclasses.asdict(self), dataclasses.asdict(other)
        return Score(**{name: mine[name] + others[name] for name in mine})

    @property
    def well_formed(self) -> float:
        """Share of the sentences whose output is a tree over their words."""
        return _ratio(self.sentences - self.ill_formed, self.sentences)

    @property
    def complete(self) -> float:
        """Share of the sentences whose output has all brackets and no others."""
        return _ratio(self.equal, self.sentences)

    @property
    def precision(self) -> float:
        """Share of the brackets of the outputs that are right."""
        return _ratio(self.matched, self.in_outputs)

    @property
    def recall(self) -> float:
        """Share of the brackets of the references that were found."""
        return _ratio(self.matched, self.in_references)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _ratio(2 * self.matched, self.in_outputs + self.in_references)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def compare(reference: trees.Tree, output: trees.Tree | None) -> Score:
    """Returns the score of one sentence.

    Args:
      reference: the true tree.
      output: another over as many words; None if there is none.

    Raises:
      ValueError: if they are over different numbers of words.
    """
    counted = [leaf.label not in PUNCTUATION_TAGS for leaf in reference.leaves()]
    expected = brackets(reference, counted)
    if output is None:
        return Score(sentences=1, ill_formed=1, in_references=expected.total())
    found = brackets(output, counted)
    return Score(
        sentences=1,
        equal=int(found == expected),
        matched=(found & expected).total(),
        in_references=expected.total(),
        in_outputs=found.total(),
    )


def brackets(tree: trees.Tree, counted: Sequence[bool]) -> collections.Counter[Bracket]:
    """Returns how often a tree has each bracket.

    Args:
      tree: the tree.
      counted: for each of its words whether it counts.

    Raises:
      ValueError: if there are more or fewer words.
    """
    num_words = sum(1 for _ in tree.leaves())
    if num_words != len(counted):
        raise ValueError(
            f"The tree must have {len(counted)} words; it has {num_words}."
        )
    is_counted = iter(counted)
    position = 0
    found: collections.Counter[Bracket] = collections.Counter()

    def visit(part: trees.Tree) -> None:
        nonlocal position
        if part.word is not None:
            position += next(is_counted)
            return
        start = position
        for child in part.children:
            visit(child)
        if position > start and part.label not in UNCOUNTED_LABELS:
            label = SAME_LABELS.get(part.label, part.label)
            found[Bracket(label, start, position)] += 1

    visit(tree)
    return found


def score_symbols(references: Sequence[str], outputs: Sequence[str]) -> Score:
    """Returns the score of outputs as `trees.linearize` writes them.

    Args:
      references: symbols of the true trees.
      outputs: those of a model, in the same order, well-formed or not.

    Raises:
      trees.IllFormedError: if a reference is not a tree.
    """
    score = Score()
    for reference, output in zip(references, outputs, strict=True):
        tree = trees.read_symbols(reference)
        score += compare(tree, _read_or_none(output, tree))
    return score


def _read_or_none(symbols: str, reference: trees.Tree) -> trees.Tree | None:
    """Returns the tree of an output over as many words as the reference has."""
    try:
        return trees.delinearize(reference.words(), symbols)
    except trees.IllFormedError:
        return None
