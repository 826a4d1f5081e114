"""One trial: a run of the trainer in a process of its own, watched from here."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from t2t_mm.hparams_search.objective import Objective

LOG_FILE = "trainer.log"
_POLL_SECONDS = 1.0
_MODULE = "t2t_mm.bin.t2t_trainer"


class Outcome(NamedTuple):
    """How a trial ended.

    Attributes:
      status: exit status of the trainer; 0 if all went well.
      was_stopped: whether it was stopped because it was hopeless.
      step: of the last evaluation; 0 if there was none.
      value: of the objective in it; None if there was none.
    """

    status: int
    was_stopped: bool
    step: int
    value: float | None


def run(
    arguments: Sequence[str],
    folder: str,
    objective: Objective,
    is_hopeless: Callable[[int, float], bool],
) -> Outcome:
    """Trains until the end, or until it is hopeless.

    A trainer that was stopped goes on from its checkpoint. If this process is
    interrupted, so is the trainer, which saves first.

    Args:
      arguments: of the trainer, but for the folder.
      folder: of the run; what the trainer says goes to `trainer.log` in it.
      objective: what is watched.
      is_hopeless: called once for every evaluation, with step and value.
    """
    os.makedirs(folder, exist_ok=True)
    seen: dict[int, float] = {}
    was_stopped = False
    with open(os.path.join(folder, LOG_FILE), "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, *arguments, f"--output_dir={folder}"],
            stdout=log,
            stderr=log,
        )
        try:
            while process.poll() is None and not was_stopped:
                time.sleep(_POLL_SECONDS)
                new = {
                    s: v for s, v in objective.values(folder).items() if s > _last(seen)
                }
                seen |= new
                was_stopped = any(is_hopeless(*item) for item in new.items())
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    seen = objective.values(folder)
    return Outcome(process.returncode, was_stopped, _last(seen), seen.get(_last(seen)))


def _last(values: dict[int, float]) -> int:
    return max(values, default=0)


def last_words(folder: str) -> str:
    """Returns the last line that a trainer said."""
    with open(os.path.join(folder, LOG_FILE), encoding="utf-8", errors="replace") as f:
        lines = [line for line in f.read().splitlines() if line.strip()]
    return lines[-1] if lines else ""
