"""A note in the folder of a run that it was stopped before its last step.

    early_end.json    step and reason; there while no trainer is to go on

Who evaluates checkpoints as they come knows by it that no other will come.
"""

import contextlib
import json
import os
from typing import NamedTuple

from t2t_mm.runs import checkpoint_files

FILE = "early_end.json"


class EarlyEnd(NamedTuple):
    """How a run ended.

    Attributes:
      step: its last.
      reason: why there are no more.
    """

    step: int
    reason: str


def note(output_dir: str, step: int, reason: str | None) -> None:
    """Writes why a run ended at a step; removes what an earlier run wrote if None."""
    path = os.path.join(output_dir, FILE)
    if reason is None:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        return
    end = EarlyEnd(step, reason)
    checkpoint_files.replace_file(path, json.dumps(end._asdict(), indent=1) + "\n")


def read(output_dir: str) -> EarlyEnd | None:
    """Returns how a run ended; None if it was not stopped early, or is at work."""
    try:
        with open(os.path.join(output_dir, FILE), encoding="utf-8") as file:
            return EarlyEnd(**json.load(file))
    except FileNotFoundError:
        return None
