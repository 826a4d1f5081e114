"""From the ids of one vocabulary to those of another, by what they stand for."""

import dataclasses
import functools
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

_NO_LETTERS = re.compile(r"<(0x[0-9A-F]{2}|pad|unk|/s)>")


class Entries(NamedTuple):
    """What the ids of a vocabulary or the labels of classes stand for.

    Attributes:
      texts: by id.
      split: returns the ids that a text is written with; None if there is no such
        thing, as for classes.
    """

    texts: Sequence[str]
    split: Callable[[str], Sequence[int]] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowMapping:
    """Where the rows of a table come from; "rows" may be columns or single numbers.

    Attributes:
      sources: for every new row the old rows whose mean it is; none for a row that
        keeps its initial value.
      old_size: number of old rows.
    """

    sources: Sequence[Sequence[int]]
    old_size: int

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return list(self.sources) == [(row,) for row in range(self.old_size)]

    @functools.cached_property
    def _copied(self) -> tuple[np.ndarray, np.ndarray]:
        """New rows that are copies, and the old ones that they are copies of."""
        pairs = [(new, old[0]) for new, old in enumerate(self.sources) if len(old) == 1]
        new, old = np.array(pairs, np.int64).reshape(-1, 2).T
        return new, old

    def __str__(self) -> str:
        """Says in numbers what happens."""
        copied = self._copied[1]
        composed = sum(len(old) > 1 for old in self.sources)
        initial = sum(not old for old in self.sources)
        left = self.old_size - len(set(copied.tolist()))
        parts = [f"{len(copied)} of {len(self.sources)} rows copied"]
        parts += [f"{composed} means of their old pieces"] * bool(composed)
        parts += [f"{initial} initial"] * bool(initial)
        parts += [f"{left} old ones left behind"] * bool(left)
        return ", ".join(parts)

    def apply(self, old: np.ndarray, initial: np.ndarray, axis: int) -> np.ndarray:
        """Returns a table of the new rows.

        Args:
          old: table of the old rows.
          initial: table of which rows without a source are taken.
          axis: of the rows.
        """
        old = np.moveaxis(old, axis, 0)
        rows = np.moveaxis(initial, axis, 0).copy()
        new_rows, old_rows = self._copied
        rows[new_rows] = old[old_rows]
        for row, sources in enumerate(self.sources):
            if len(sources) > 1:
                rows[row] = old[list(sources)].mean(0)
        return np.moveaxis(rows, 0, axis)

    def apply_to_slot(self, old: np.ndarray, axis: int, *, by_mean: bool) -> np.ndarray:
        """Returns what the optimizer keeps about a table of the new rows.

        Args:
          old: the same about the old rows.
          axis: of the rows.
          by_mean: rows that are no copies get the mean of those that are, as fits what
            must not be 0; else 0.
        """
        old = np.moveaxis(old, axis, 0)
        new_rows, old_rows = self._copied
        rows = np.zeros((len(self.sources), *old.shape[1:]), old.dtype)
        if by_mean and len(old_rows):
            rows[:] = old[old_rows].mean(0)
        rows[new_rows] = old[old_rows]
        return np.moveaxis(rows, 0, axis)


def by_text(old: Entries, new: Entries) -> RowMapping:
    """Returns the mapping that takes every row from the old one of the same text.

    A new text that the old vocabulary writes with several ids is the mean of these.
    """
    old_ids = {text: i for i, text in reversed(list(enumerate(old.texts)))}

    def sources(text: str) -> tuple[int, ...]:
        if text in old_ids:
            return (old_ids[text],)
        if old.split is None or new.split is None or _NO_LETTERS.fullmatch(text):
            return ()
        return tuple(old.split(text))

    return RowMapping(
        sources=[sources(text) for text in new.texts], old_size=len(old.texts)
    )
