"""Which checkpoint of a run to read.

None                      the newest that is whole
best                      the best, if the run keeps it by one metric
best:wmt_ende/accuracy    the best by that metric
run/ckpt-1000             this one
run_average               the newest in another folder, such as an average
"""

import os
from collections.abc import Callable

from t2t_mm.runs import best_checkpoints, checkpoint_files

_BEST = "best"


class DamagedError(OSError):
    """A checkpoint that was asked for cannot be read."""


def newest(output_dir: str) -> str:
    """Returns the path prefix of the newest checkpoint of a folder.

    Raises:
      FileNotFoundError: if there is none yet.
    """
    paths = checkpoint_files.candidates(output_dir)
    if not paths:
        raise FileNotFoundError(_none_yet(output_dir))
    return paths[0]


def find(output_dir: str, choice: str) -> str:
    """Returns the path prefix of a checkpoint that is named.

    Args:
      output_dir: folder of the run.
      choice: as above, but not None.

    Raises:
      FileNotFoundError: if there is none.
      LookupError: if the run does not keep such a best one.
    """
    if choice.partition(":")[0] == _BEST and not os.path.isdir(choice):
        return best_checkpoints.find(output_dir, choice)
    if os.path.isdir(choice):
        return newest(choice)
    if not checkpoint_files.files(choice):
        raise FileNotFoundError(f"There is no checkpoint '{choice}'.")
    return choice


def restore(output_dir: str, choice: str | None, read: Callable[[str], None]) -> str:
    """Reads a checkpoint and returns its path prefix.

    Args:
      output_dir: folder of the run.
      choice: as above. Only for the newest an older one stands in if it is damaged.
      read: reads the checkpoint with a prefix, see `checkpoint_files.first_whole`.

    Raises:
      FileNotFoundError: if there is none.
      LookupError: if the run does not keep such a best one.
      DamagedError: if it is damaged.
    """
    if choice is not None:
        path = find(output_dir, choice)
        if problem := checkpoint_files.damage(path, read):
            raise DamagedError(f"'{path}' is damaged: {problem}")
        return path
    found = checkpoint_files.first_whole(output_dir, read)
    if found is None:
        raise FileNotFoundError(_none_yet(output_dir))
    return found


def _none_yet(output_dir: str) -> str:
    return f"'{output_dir}' has no checkpoint yet. Train with t2t-trainer first."
