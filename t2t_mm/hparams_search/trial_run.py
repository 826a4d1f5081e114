"""One trial: a run of the trainer in a process of its own, watched from here."""

import ctypes
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from t2t_mm.features import Split
from t2t_mm.runs import folder_lock
from t2t_mm.training import history, watched_metric
from t2t_mm.training.watched_metric import WatchedMetric

FLAG = "autotune_objective"
LOG_FILE = "trainer.log"
_POLL_SECONDS = 1.0
_MODULE = "t2t_mm.bin.t2t_trainer"
_PR_SET_PDEATHSIG = 1  # of Linux: which signal comes when the parent dies


class Outcome(NamedTuple):
    """How a trial ended.

    Attributes:
      status: exit status of the trainer; 0 if all went well.
      was_stopped: whether it was stopped because it was hopeless.
      step: of the last evaluation; 0 if there was none.
      value: of the metric in it; None if there was none.
    """

    status: int
    was_stopped: bool
    step: int
    value: float | None


def run(
    arguments: Sequence[str],
    folder: str,
    metric: WatchedMetric,
    problems: Collection[str],
    is_hopeless: Callable[[int, float], bool],
) -> Outcome:
    """Trains until the end, or until it is hopeless.

    A trainer that was stopped goes on from its checkpoint. If this process is
    interrupted, so is the trainer, which saves first; on Linux also if it is killed.

    Args:
      arguments: of the trainer, but for the folder.
      folder: of the run; what the trainer says goes to `trainer.log` in it.
      metric: what is watched.
      problems: that the run trains.
      is_hopeless: called once for every evaluation, with step and value.
    """
    folder_lock.wait_until_free(folder)  # of the trainer of a search that was killed
    read = functools.partial(values, metric, problems, folder)
    seen: dict[int, float] = {}
    was_stopped = False
    process = _start([*arguments, f"--output_dir={folder}"], folder)
    try:
        while process.poll() is None and not was_stopped:
            time.sleep(_POLL_SECONDS)
            new = {step: value for step, value in read().items() if step > _last(seen)}
            seen |= new
            was_stopped = any(is_hopeless(*item) for item in new.items())
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    seen = read()
    return Outcome(process.returncode, was_stopped, _last(seen), seen.get(_last(seen)))


def _start(arguments: Sequence[str], folder: str) -> subprocess.Popen:
    with open(os.path.join(folder, LOG_FILE), "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", _MODULE, *arguments],
            stdout=log,
            stderr=log,
            preexec_fn=_end_with_parent(),
        )


def _end_with_parent() -> Callable[[], object] | None:
    """Returns what lets a process have SIGTERM when its parent dies; None if not."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def values(
    metric: WatchedMetric, problems: Collection[str], folder: str
) -> dict[int, float]:
    """Returns the values of a metric that a run has recorded so far, by step.

    An evaluation that is being written is left out: its mean is not that of all.

    Args:
      metric: what is looked for.
      problems: that the run evaluates.
      folder: of the run.

    Raises:
      ValueError: if dev was evaluated without such a metric; names those there are.
    """
    found: dict[int, float] = {}
    for step, results in history.evaluations(folder, Split.EVAL):
        if results.keys() != set(problems):
            continue
        value = metric.value(results)
        if value is None:
            names = {
                name: [m for m, v in row.items() if isinstance(v, float)]
                for name, row in results.items()
            }
            watched_metric.check_known(FLAG, str(metric), names)
        else:
            found[step] = value
    return found


def _last(values: dict[int, float]) -> int:
    return max(values, default=0)


def last_words(folder: str) -> str:
    """Returns the last line that a trainer said."""
    with open(os.path.join(folder, LOG_FILE), encoding="utf-8", errors="replace") as f:
        lines = [line for line in f.read().splitlines() if line.strip()]
    return lines[-1] if lines else ""
