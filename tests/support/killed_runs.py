"""Runs in processes of their own, which kill themselves where they are told to."""

import multiprocessing
import os
import pathlib
import signal
import sys
import threading
import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from t2t_mm.training import history

# Where in the trainer a process dies: a function that is running then.
PHASES = {
    "restore": "restore_latest",
    "step": "_one_step",
    "checkpoint": "save",
    "files": "save_v2",
    "sync": "sync",
    "evaluation": "evaluate",
}
_CYCLE = ("step", "checkpoint", "evaluation", "files", "evaluation", "sync")


class Kill(NamedTuple):
    """When a process dies.

    Attributes:
      phase: one of `PHASES`.
      steps: how many updates it makes before.
      delay: seconds after the phase began.
    """

    phase: str
    steps: int
    delay: float


def random_kills(count, seed):
    """Returns `count` kills, all phases among them in turn."""
    random = np.random.default_rng(seed)
    phases = [
        "restore" if number % 10 == 9 else _CYCLE[number % len(_CYCLE)]
        for number in range(count)
    ]
    return [
        Kill(phase, int(random.integers(1, 8)), float(random.exponential(0.01)))
        for phase in phases
    ]


def start(function, arguments):
    """Returns a process that calls a function; TensorFlow is imported for all once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["t2t_mm.training.experiment"])
    process = context.Process(target=function, args=arguments, daemon=True)
    process.start()
    return process


def run(make_trainer, arguments, kill=None):
    """Trains in a process of its own; returns its exit status and where it died.

    Args:
      make_trainer: of a module, returns a trainer.
      arguments: what it is called with.
      kill: when the process dies; None to let it finish.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = start(_train, (make_trainer, arguments, kill, sender))
    sender.close()
    process.join()
    try:
        return process.exitcode, receiver.recv()
    except EOFError:  # it did not die
        return process.exitcode, None


def _train(make_trainer, arguments, kill, sender):
    trainers = []
    if kill is not None:
        watcher = threading.Thread(
            target=_die, args=(kill, trainers, sender), daemon=True
        )
        watcher.start()
    trainers.append(make_trainer(*arguments))
    trainers[0].train_and_evaluate()


def _die(kill, trainers, sender):
    function = PHASES[kill.phase]
    while kill.phase != "restore" and not trainers:
        time.sleep(0.001)
    if trainers:
        first = trainers[0].state.step
        while trainers[0].state.step < first + kill.steps:
            time.sleep(0.0005)
    while function not in _running():
        time.sleep(0.0002)
    time.sleep(kill.delay)
    step = trainers[0].state.step if trainers else None
    sender.send((step, _running()[:3]))
    os.kill(os.getpid(), signal.SIGKILL)


def _running():
    """Returns the functions that the main thread is in, innermost first."""
    frame = sys._current_frames().get(threading.main_thread().ident)
    names = []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names


def contents(output_dir):
    """Returns all that a run leaves and that must not depend on when it was stopped.

    Speeds are left out, and so are the files of TensorBoard.
    """
    folder = pathlib.Path(output_dir)
    rows = history.read(str(folder))
    for row in rows:
        row.pop("targets_per_second", None)
    found = {"rows": rows}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.name == "checkpoint":
            lines = path.read_text().splitlines()
            found[name] = [line for line in lines if "timestamp" not in line]
        elif path.suffix == ".index":
            reader = tf.train.load_checkpoint(str(path.with_suffix("")))
            found[name] = {
                key: reader.get_tensor(key).tolist()
                for key in reader.get_variable_to_shape_map()
                if key != "_CHECKPOINTABLE_OBJECT_GRAPH"
            }
        elif path.suffix == ".json":
            found[name] = path.read_text()
        elif path.is_file() and "tfevents" not in path.name:
            found[name] = None  # that it is there
    return found
