"""Which split a sample is in where a corpus does not say."""

import os
from collections.abc import Collection, Mapping

from t2t_mm.data import splits
from t2t_mm.features import Split

FOLDERS = {
    Split.TRAIN: ("train", "training"),
    Split.EVAL: ("dev", "val", "valid", "validation", "eval"),
    Split.TEST: ("test", "testing"),
}
_OF_A_TENTH = {0: Split.TEST, 1: Split.EVAL}
ALL_BUT_TRAIN = frozenset(_OF_A_TENTH.values())


def tenth_of(key: str, held_out: Collection[Split] = ALL_BUT_TRAIN) -> Split:
    """Returns the split of whatever `key` names: a tenth for each of `held_out`."""
    split = _OF_A_TENTH.get(splits.hash_number(key) % 10, Split.TRAIN)
    return split if split in held_out else Split.TRAIN


class SplitFolder:
    """The folder that a split is in, alone or together with others.

    A folder may have one below it for each split: see `FOLDERS`. Without one for
    training, everything is in one folder. Splits without a folder get a tenth each of
    what is for training, by a hash of its name.

    Attributes:
      path: the folder.
    """

    def __init__(
        self,
        root: str,
        split: Split,
        names: Mapping[Split, tuple[str, ...]] = FOLDERS,
    ) -> None:
        """Looks for folders of splits below `root`.

        Args:
          root: the folder.
          split: the split that is wanted.
          names: what the folder of each split may be called.
        """
        folders: dict[Split, str | None] = {
            known: _first_folder(root, names[known]) for known in Split
        }
        if folders[Split.TRAIN] is None:
            folders = {Split.TRAIN: root, Split.EVAL: None, Split.TEST: None}
        self._split = split
        self._held_out = {known for known, path in folders.items() if path is None}
        self._is_shared = split == Split.TRAIN or split in self._held_out
        self.path: str = folders[split] or folders[Split.TRAIN] or root

    def has(self, name: str) -> bool:
        """Returns whether what is called `name` below `path` is in the split."""
        return not self._is_shared or tenth_of(name, self._held_out) == self._split


def _first_folder(root: str, names: Collection[str]) -> str | None:
    paths = (os.path.join(root, name) for name in names)
    return next(filter(os.path.isdir, paths), None)
