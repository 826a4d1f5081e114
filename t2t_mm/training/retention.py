"""Which checkpoints of a run are kept."""

import dataclasses
from typing import NamedTuple

from t2t_mm.runs.checkpoint_files import CheckpointList, Listed

_SECONDS_PER_HOUR = 3600.0
_INSTANT = 1e-3  # seconds: no two checkpoints were written at the same time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Retention:
    """Which checkpoints stay when others are written.

    Attributes:
      newest: how many of the newest ones.
      every_hours: hours between those that stay for good; 0 for none.
    """

    newest: int
    every_hours: float = 0.0


class Kept(NamedTuple):
    """What becomes of checkpoints.

    Attributes:
      checkpoints: those that stay.
      deleted: steps of those that do not.
    """

    checkpoints: CheckpointList
    deleted: list[int]


def add(checkpoints: CheckpointList, step: int, time: float) -> CheckpointList:
    """Returns the list with one that has just been written, in place of later ones.

    Args:
      checkpoints: so far.
      step: of the checkpoint. A run that went back has none of later steps any more.
      time: at present, in seconds since 1970. If the clock was put back, the time of
        the one before counts.
    """
    before = [entry for entry in checkpoints.listed if entry.step < step]
    # Hours count from just before the first one.
    first_time = before[0].time if before else time
    preserved_time = checkpoints.preserved_time or first_time - _INSTANT
    latest = max([preserved_time, *(entry.time for entry in before)])
    return CheckpointList(
        listed=[*before, Listed(step=step, time=max(time, latest + _INSTANT))],
        preserved_time=preserved_time,
    )


def apply(retention: Retention, checkpoints: CheckpointList) -> Kept:
    """Returns what stays.

    A checkpoint that is no longer among the newest stays for good if it was written
    `every_hours` or more after the last that does.
    """
    preserved = [e for e in checkpoints.listed if e.time <= checkpoints.preserved_time]
    others = checkpoints.listed[len(preserved) :]
    preserved_time, deleted = checkpoints.preserved_time, []
    for entry in others[: -retention.newest]:
        hours = (entry.time - preserved_time) / _SECONDS_PER_HOUR
        if retention.every_hours and hours >= retention.every_hours:
            preserved.append(entry)
            preserved_time = entry.time
        else:
            deleted.append(entry.step)
    newest = others[-retention.newest :]
    return Kept(
        CheckpointList(listed=[*preserved, *newest], preserved_time=preserved_time),
        deleted,
    )
