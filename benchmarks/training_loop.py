"""What the training loop adds to the compiled steps.

    python benchmarks/training_loop.py --problems=mini_ende,mini_fashion \
        --data_dir=data [--hparams_set=multimodel_small] [--steps=10] [--rounds=5]

Each round trains `--steps` steps as `t2t-trainer` does: drawing problems, reading and
preparing batches, counting, logging. Then it calls the same programs on the same
batches, which are in memory, and nothing else. Prints medians over the rounds and the
overhead as JSON, with the processor time that the thread of the loop spends outside the
steps: a busy machine changes that less. Nothing is evaluated or saved.
"""

import argparse
import json
import statistics
import tempfile
import time
from typing import Any

import tensorflow as tf
from absl import logging

from t2t_mm import hparam, registry
from t2t_mm.training import distribution, experiment, trainer, updates
from t2t_mm.training.run_config import RunConfig


class Recorder:
    """Stands in for what makes updates, and notes what it is asked for."""

    def __init__(self, made: updates.Updates) -> None:
        """Wraps `made`."""
        self._updates = made
        self.calls: list[tuple[Any, ...]] = []
        self.thread_seconds = 0.0

    def step(self, *arguments: Any) -> Any:
        """Makes an update."""
        self.calls.append(arguments)
        start = time.thread_time()
        output = self._updates.step(*arguments)
        self.thread_seconds += time.thread_time() - start
        return output

    def replay(self) -> Any:
        """Makes all updates again; returns what the last one gave."""
        for arguments in self.calls:
            output = self._updates.step(*arguments)
        return output


def build(arguments: argparse.Namespace, output_dir: str) -> trainer.Trainer:
    """Returns a trainer of the problems."""
    config = RunConfig(
        train_steps=10**9,
        eval_every_steps=0,
        log_every_steps=arguments.steps,
        jit_compile=arguments.jit_compile,
    )
    where = distribution.make_distribution("auto", arguments.num_devices)
    return experiment.build(
        model_name=arguments.model,
        hparams_set=arguments.hparams_set,
        hparams=hparam.resolve(arguments.hparams_set, overrides=arguments.hparams),
        problem_names=arguments.problems.split(","),
        config=config,
        data_dir=arguments.data_dir,
        output_dir=output_dir,
        distribution=where,
    )


def seconds_of_round(loop: trainer.Trainer, steps: int) -> tuple[float, ...]:
    """Returns seconds per step in the loop, of the same steps without it, and outside.

    Those outside are processor time of the thread that runs the loop.
    """
    recorder = Recorder(loop._updates)
    loop._updates = recorder
    start, thread_start = time.perf_counter(), time.thread_time()
    loop._train_until(loop.state.step + steps)  # reads the outputs of all its steps
    middle = time.perf_counter()
    outside = time.thread_time() - thread_start - recorder.thread_seconds
    tf.nest.map_structure(lambda x: x.numpy(), recorder.replay())
    end = time.perf_counter()
    loop._updates = recorder._updates
    return (middle - start) / steps, (end - middle) / steps, outside / steps


def main() -> None:
    """Parses the arguments, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", required=True)
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--model", default="multimodel")
    parser.add_argument("--hparams_set", default="multimodel_small")
    parser.add_argument("--hparams", default="")
    parser.add_argument("--num_devices", type=int, default=0)
    parser.add_argument("--jit_compile", action="store_true", default=None)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    logging.set_verbosity(logging.WARNING)
    registry.import_registrations()
    with tempfile.TemporaryDirectory() as output_dir:
        loop = build(arguments, output_dir)
        # Compiles; with XLA, shapes that come later are compiled in both halves.
        seconds_of_round(loop, arguments.steps)
        rounds = [
            seconds_of_round(loop, arguments.steps) for _ in range(arguments.rounds)
        ]
    in_loop, bare, outside = (
        statistics.median(column) for column in zip(*rounds, strict=True)
    )
    overheads = [100 * (a / b - 1) for a, b, _ in rounds]
    figures = {
        "loop_ms": 1000 * in_loop,
        "bare_ms": 1000 * bare,
        "thread_outside_steps_ms": 1000 * outside,
        "overhead_percent": statistics.median(overheads),
        "overheads_percent": overheads,
    }
    print(json.dumps({k: _rounded(v) for k, v in figures.items()}, indent=1))


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 2)


if __name__ == "__main__":
    main()
