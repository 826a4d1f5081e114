"""How long `t2t-trainer` takes from its call to the first step, and what for.

    python -m benchmarks.start_up --problems=mini_ende,mini_fashion --data_dir=data \
        [--hparams_set=multimodel_tiny] [--repeats=3]

Runs the command in a fresh process, with a clock around what it does, until every
problem has made two steps; the output folder is new each time. Prints seconds:

    import      of TensorFlow and of this package
    data        vocabularies and the index of records
    weights     making and initialising the variables
    first_step  of the first problem; of it, `tracing` is building the graph in Python
    total       from the call of the command to the end of that step
    next_first  the first step of the problem that came second; `next_tracing` of it

The rest of a first step is TensorFlow's own work on the graph, and the step.
"""

import argparse
import functools
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from benchmarks import measure

MOST_STEPS = 60
PARTS = (
    "import",
    "data",
    "weights",
    "first_step",
    "tracing",
    "total",
    "next_first",
    "next_tracing",
)


class Clock:
    """Adds up seconds by name, and notes the first steps of problems.

    Attributes:
      seconds: by name.
      first_steps: seconds and seconds of tracing, by problem, in order.
      steps: number of steps of each problem so far.
    """

    def __init__(self, called: float) -> None:
        """Starts at the time `called`, in seconds since the epoch."""
        self._called = called
        self.seconds: dict[str, float] = {}
        self.first_steps: dict[str, tuple[float, float]] = {}
        self.steps: dict[str, int] = {}

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function whose seconds are added to those of `name`."""

        @functools.wraps(function)
        def timed(*arguments: Any, **settings: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **settings)
            finally:
                spent = time.perf_counter() - start
                self.seconds[name] = self.seconds.get(name, 0.0) + spent

        return timed

    def around_step(
        self, function: Callable[..., Any], problems: set[str]
    ) -> Callable[..., Any]:
        """Returns a function that makes a step and ends when all have made two."""

        @functools.wraps(function)
        def step(updates: Any, draws: Any, *arguments: Any) -> Any:
            (draw,) = draws
            traced = self.seconds.get("tracing", 0.0)
            start = time.perf_counter()
            outputs = function(updates, draws, *arguments)
            outputs[0][0].loss.numpy()
            spent = time.perf_counter() - start
            if draw.problem not in self.first_steps:
                if not self.first_steps:
                    self.seconds["total"] = time.time() - self._called
                tracing = self.seconds["tracing"] - traced
                self.first_steps[draw.problem] = (spent, tracing)
            self.steps[draw.problem] = self.steps.get(draw.problem, 0) + 1
            if all(self.steps.get(name, 0) >= 2 for name in problems):
                print(json.dumps(self.figures()), flush=True)
                os._exit(0)
            return outputs

        return step

    def figures(self) -> dict[str, float]:
        """Returns the seconds of the parts."""
        (first, tracing), *others = self.first_steps.values()
        figures = self.seconds | {"first_step": first, "tracing": tracing}
        if others:
            figures["next_first"], figures["next_tracing"] = others[0]
        return {name: round(figures[name], 2) for name in PARTS if name in figures}


def run_timed(called: float, arguments: list[str]) -> None:
    """Runs the trainer in this process with a clock around its parts."""
    clock = Clock(called)
    clock.around("import", _import_all)()
    from t2t_mm.bin import t2t_trainer
    from t2t_mm.data import pipeline, vocabulary
    from t2t_mm.models import multimodel
    from t2t_mm.training import updates

    vocabulary.choose = clock.around("data", vocabulary.choose)
    batches = pipeline.TrainBatches
    batches.__init__ = clock.around("data", batches.__init__)  # type: ignore[misc]
    multimodel.MultiModel.__init__ = clock.around(  # type: ignore[method-assign]
        "weights", multimodel.MultiModel.__init__
    )
    updates.Updates._whole_step = clock.around(  # type: ignore[method-assign]
        "tracing", updates.Updates._whole_step
    )
    (flag,) = (a for a in arguments if a.startswith("--problems="))
    problems = set(flag.partition("=")[2].split(","))
    updates.Updates.step = clock.around_step(  # type: ignore[method-assign]
        updates.Updates.step, problems
    )
    sys.argv = ["t2t-trainer", *arguments]
    t2t_trainer.run()


def _import_all() -> None:
    """Imports what the command would import on its way to the first step."""
    from t2t_mm import registry

    for name in ("t2t_mm.bin.t2t_trainer", "t2t_mm.training.experiment"):
        importlib.import_module(name)
    registry.import_registrations()
    registry.import_models()


def run_once(arguments: argparse.Namespace) -> dict[str, float]:
    """Returns the seconds of the parts of one call."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            f"--problems={arguments.problems}",
            f"--hparams_set={arguments.hparams_set}",
            f"--hparams={arguments.hparams}",
            f"--data_dir={arguments.data_dir}",
            f"--output_dir={folder}",
            f"--train_steps={MOST_STEPS}",
            "--mixing=equal",
            "--schedule=train",
        ]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.start_up", str(time.time()), *command],
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"t2t-trainer failed:\n{done.stderr}")
    return json.loads(done.stdout)


def main() -> None:
    """Parses the arguments, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", required=True, help="names with commas between")
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--hparams_set", default="multimodel_tiny")
    parser.add_argument("--hparams", default="")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    rows = [run_once(arguments) for _ in range(arguments.repeats)]
    medians = {
        name: round(statistics.median(row[name] for row in rows), 2) for name in rows[0]
    }
    runs = [{"run": str(number), **row} for number, row in enumerate(rows, 1)]
    measure.report([*runs, {"run": "median", **medians}], **vars(arguments))


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        run_timed(float(sys.argv[1]), sys.argv[2:])
    else:
        main()
