"""Files that are named for a step of training, such as checkpoints: NAME-1000."""

import os
import re
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

_SECONDS_BETWEEN_LOOKS = 10.0


class StepFile(NamedTuple):
    """A file, or the files of a checkpoint.

    Attributes:
      step: the number at the end of the name.
      path: of the file, without the suffix that was asked for.
    """

    step: int
    path: str


def list_files(folder: str, suffix: str = "") -> list[StepFile]:
    """Returns the files called NAME-STEP in a folder, by step.

    Args:
      folder: where they are.
      suffix: what follows the step, such as ".index".

    Raises:
      FileNotFoundError: if there is no such folder.
    """
    pattern = re.compile(rf"(.*-(\d+)){re.escape(suffix)}")
    matches = [m for name in os.listdir(folder) if (m := pattern.fullmatch(name))]
    files = [StepFile(int(m[2]), os.path.join(folder, m[1])) for m in matches]
    return sorted(files)


def watch(
    folder: str,
    *,
    min_step: int = 0,
    suffix: str = "",
    wait_seconds: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[StepFile]:
    """Yields the files that are there by step, then those that come.

    Args:
      folder: where they are.
      min_step: files of earlier steps are left out.
      suffix: what follows the step.
      wait_seconds: stop when none has come for so long; 0 not to wait at all.
      sleep: waits for some seconds.

    Raises:
      FileNotFoundError: if there is no such folder.
    """
    seen: set[StepFile] = set()
    waited = 0.0
    while True:
        new = [f for f in list_files(folder, suffix) if f not in seen]
        new = [file for file in new if file.step >= min_step]
        seen.update(new)
        yield from new
        waited = 0.0 if new else waited
        if waited >= wait_seconds:
            return
        pause = min(_SECONDS_BETWEEN_LOOKS, wait_seconds - waited)
        sleep(pause)
        waited += pause
