"""Files that are named for a step of training, such as checkpoints: NAME-1000."""

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from t2t_mm.runs import checkpoint_files

_SECONDS_BETWEEN_LOOKS = 10.0
_NAME = re.compile(r".*-(\d+)")


class StepFile(NamedTuple):
    """A file, or the files of a checkpoint.

    Attributes:
      step: the number at the end of the name.
      path: of the file, or what those of the files of a checkpoint begin with.
    """

    step: int
    path: str


def list_files(folder: str) -> list[StepFile]:
    """Returns the files called NAME-STEP in a folder, by step.

    Raises:
      FileNotFoundError: if there is no such folder.
    """
    matches = [m for name in os.listdir(folder) if (m := _NAME.fullmatch(name))]
    return sorted(StepFile(int(m[1]), os.path.join(folder, m[0])) for m in matches)


def list_checkpoints(folder: str) -> list[StepFile]:
    """Returns the checkpoints of a folder that may be whole, by step.

    Raises:
      FileNotFoundError: if the folder lists some, but has no files of any.
    """
    paths = checkpoint_files.candidates(folder)
    return sorted(StepFile(checkpoint_files.step_of(path), path) for path in paths)


def watch(
    find: Callable[[], Sequence[StepFile]],
    *,
    min_step: int = 0,
    wait_seconds: float = 0.0,
    is_over: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[StepFile]:
    """Yields the files that are there by step, then those that come.

    Args:
      find: returns the files that are there, by step.
      min_step: files of earlier steps are left out.
      wait_seconds: stop when none has come for so long; 0 not to wait at all, infinity
        to wait for ever.
      is_over: whether no other will come; asked when all that are there were yielded.
      sleep: waits for some seconds.
    """
    seen: set[StepFile] = set()
    waited = 0.0
    while True:
        new = [file for file in find() if file not in seen]
        new = [file for file in new if file.step >= min_step]
        seen.update(new)
        yield from new
        waited = 0.0 if new else waited
        if is_over() or waited >= wait_seconds:
            return
        pause = min(_SECONDS_BETWEEN_LOOKS, wait_seconds - waited)
        sleep(pause)
        waited += pause
