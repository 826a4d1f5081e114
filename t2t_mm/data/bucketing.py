"""Few static shapes for examples of many lengths.

A compiled step is made once per shape, so lengths are rounded up to a few buckets,
chosen so that as few positions as possible are padding.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

LENGTH_MULTIPLE = 8  # padded lengths are multiples of it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bucket:
    """The shape of a batch.

    Attributes:
      batch_size: examples, fillers included.
      inputs_length: padded length of the inputs; 0 if there are none, 1 if they are of
        static shape.
      targets_length: likewise of the targets.
    """

    batch_size: int
    inputs_length: int
    targets_length: int

    @property
    def padded_lengths(self) -> dict[str, int]:
        """Padded length by feature."""
        return {"inputs": self.inputs_length, "targets": self.targets_length}


def round_up(lengths: np.ndarray) -> np.ndarray:
    """Rounds lengths up to multiples of `LENGTH_MULTIPLE`."""
    return -(-lengths // LENGTH_MULTIPLE) * LENGTH_MULTIPLE


def choose_shapes(
    lengths: np.ndarray, varies: Sequence[bool], max_shapes: int
) -> np.ndarray:
    """Returns the padded lengths for which the fewest positions are padding.

    Examples are grouped by the largest of their lengths that vary, and each feature is
    padded to the longest of its group.

    Args:
      lengths: `[examples, features]` int, at least one example.
      varies: whether the length of each feature varies; others are not rounded.
      max_shapes: largest number of groups.

    Returns:
      `[shapes, features]` int64, from short to long.
    """
    rounded = np.where(varies, round_up(lengths), lengths)
    keys, group_of = np.unique(_keys(rounded, varies), return_inverse=True)
    counts = np.bincount(group_of)
    longest = np.zeros((len(keys), lengths.shape[1]), np.int64)
    np.maximum.at(longest, group_of, rounded)
    ends = _best_ends(longest * np.asarray(varies), counts, max_shapes)
    starts = [0, *(end + 1 for end in ends[:-1])]
    return np.stack(
        [
            longest[start : end + 1].max(axis=0)
            for start, end in zip(starts, ends, strict=True)
        ]
    )


def _keys(lengths: np.ndarray, varies: Sequence[bool]) -> np.ndarray:
    return (lengths * np.asarray(varies)).max(axis=1)


def _best_ends(longest: np.ndarray, counts: np.ndarray, max_shapes: int) -> list[int]:
    """Cuts groups into at most `max_shapes` runs of least padded size.

    Dynamic programming: `best[end]` is the least number of positions of groups 0 to
    `end` in the runs allowed so far.

    Args:
      longest: `[groups, features]`, padded length of each feature in a group.
      counts: `[groups]` examples.
      max_shapes: largest number of runs.

    Returns:
      The last group of every run.
    """
    num_groups = len(counts)
    cost = np.full((num_groups, num_groups), np.inf)  # [first group, last group]
    for first in range(num_groups):
        padded = np.maximum.accumulate(longest[first:], axis=0).sum(axis=1)
        cost[first, first:] = padded * np.cumsum(counts[first:])
    best = cost[0]
    choices = [np.zeros(num_groups, np.int64)]
    for _ in range(min(max_shapes, num_groups) - 1):
        # The last run starts at `first`; the others end just before it.
        totals = np.concatenate([[0.0], best[:-1]])[:, np.newaxis] + cost
        choices.append(totals.argmin(axis=0))
        best = totals.min(axis=0)
    return _trace_ends(choices)


def _trace_ends(choices: Sequence[np.ndarray]) -> list[int]:
    ends, last = [], len(choices[0]) - 1
    for first_of_run in reversed(choices):
        ends.append(last)
        last = int(first_of_run[last]) - 1
        if last < 0:
            break
    return ends[::-1]


def assign(lengths: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """Returns the first shape that each example fits into.

    Args:
      lengths: `[examples, features]`.
      shapes: `[shapes, features]`, from short to long.

    Returns:
      `[examples]` int64; the number of shapes where none is long enough.
    """
    shape_of = np.full(len(lengths), len(shapes))
    for shape in reversed(range(len(shapes))):
        shape_of[(lengths <= shapes[shape]).all(axis=1)] = shape
    return shape_of
