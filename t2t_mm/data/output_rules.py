"""What the outputs of a problem look like, whatever the inputs are.

A problem says so with `Problem.output_rule`; a decoder that is told to keeps to it.
"""

import dataclasses
import re
from collections.abc import Sequence

from t2t_mm.data import trees

_WORD = re.compile(r"[^ \t\r\n\f\v]+")  # as in trees: only ASCII separates


@dataclasses.dataclass(frozen=True, kw_only=True)
class TreeRule:
    """Outputs are the symbols of trees over the words of the inputs.

    `data/trees.py` says how a tree is written. A symbol that is not listed here cannot
    be in an output.

    Attributes:
      constituents: labels of what consists of parts.
      tags: labels of words.
    """

    constituents: Sequence[str]
    tags: Sequence[str]

    def __post_init__(self) -> None:
        """Checks that the symbols can be told apart.

        Raises:
          ValueError: if they cannot, or if there are none of a kind.
        """
        both = sorted(set(self.constituents) & set(self.tags))
        if both:
            raise ValueError(
                "A label must be that of a constituent or of a word, because nothing "
                "else tells them apart in a tree of symbols; both is "
                f"{', '.join(both)}."
            )
        if not self.constituents or not self.tags:
            raise ValueError("There must be labels of constituents and tags of words.")
        for label in (*self.constituents, *self.tags):
            if not _WORD.fullmatch(label) or label.startswith(trees.CLOSING):
                raise ValueError(
                    f"A label must be a word that does not begin with {trees.CLOSING}; "
                    f"got '{label}'."
                )

    def count_words(self, text: str) -> int:
        """Returns how many words a tree over an input has."""
        return len(_WORD.findall(text))
