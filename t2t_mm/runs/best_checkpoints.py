"""The best checkpoints of a run, by metrics, in folders of their own.

best/miniworld_ende.accuracy/best.json        metric, value, step
best/miniworld_ende.accuracy/checkpoint       lists the one checkpoint
best/miniworld_ende.accuracy/ckpt-1000.index  its files, also of the optimizer
"""

import dataclasses
import json
import os
from collections.abc import Sequence

from t2t_mm.runs import checkpoint_files

FOLDER = "best"
_FILE = "best.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Best:
    """The best checkpoint by one metric.

    Attributes:
      metric: its name, such as "miniworld_ende/accuracy".
      higher_is_better: which way is better.
      value: of the metric.
      step: of the checkpoint.
      problems: that it is of, or is the mean of; None in files of early versions.
    """

    metric: str
    higher_is_better: bool
    value: float
    step: int
    problems: Sequence[str] | None = None


def folder_of(output_dir: str, metric: str) -> str:
    """Returns the folder of the best checkpoint by a metric."""
    return os.path.join(output_dir, FOLDER, metric.replace("/", "."))


def run_of(folder: str) -> str:
    """Returns the folder of the run that a folder of checkpoints belongs to."""
    above, name = os.path.split(os.path.dirname(os.path.abspath(folder)))
    return above if name == FOLDER else folder


def read(output_dir: str, metric: str) -> Best | None:
    """Returns what the folder of a metric says; None if there is none.

    Raises:
      ValueError: if the file is damaged.
    """
    return _read(folder_of(output_dir, metric))


def _read(folder: str) -> Best | None:
    path = os.path.join(folder, _FILE)
    if not os.path.exists(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return Best(**json.load(file))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"'{path}' cannot be read: {error}. Delete its folder to keep the best "
            "from here on."
        ) from error


def write(output_dir: str, best: Best) -> None:
    """Writes what the folder of a metric says, whole or not at all."""
    path = os.path.join(folder_of(output_dir, best.metric), _FILE)
    text = json.dumps(dataclasses.asdict(best), indent=2)
    checkpoint_files.replace_file(path, text + "\n")


def read_all(output_dir: str) -> list[Best]:
    """Returns the best by every metric that the run keeps it by."""
    folder = os.path.join(output_dir, FOLDER)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    found = [_read(os.path.join(folder, name)) for name in names]
    return [best for best in found if best is not None]


def find(output_dir: str, choice: str) -> str:
    """Returns the prefix of a best checkpoint.

    Args:
      output_dir: folder of the run.
      choice: "best", if the run keeps the best by one metric, or "best:METRIC".

    Raises:
      LookupError: if there is none, or a choice between several.
    """
    known = {best.metric: best for best in read_all(output_dir)}
    _, _, metric = choice.partition(":")
    if not known:
        raise LookupError(
            f"'{output_dir}' has no best checkpoint. Train with "
            "--keep_best=PROBLEM/METRIC to keep one."
        )
    if metric not in known and (metric or len(known) > 1):
        names = " or ".join(f"'best:{name}'" for name in known)
        raise LookupError(
            f"'{output_dir}' has the best checkpoint by {' and by '.join(known)}; say "
            f"{names}, not '{choice}'."
        )
    best = known[metric] if metric else next(iter(known.values()))
    return checkpoint_files.prefix(folder_of(output_dir, best.metric), best.step)
