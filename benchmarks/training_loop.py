"""What the training loop adds to the compiled steps.

    python -m benchmarks.training_loop --problems=mini_ende,mini_fashion \
        --data_dir=data [--hparams_set=multimodel_small] [--steps=5] [--rounds=10] \
        [--one_call]

Each round trains `--steps` steps as `t2t-trainer` does: drawing problems, reading and
preparing batches, counting. Then it calls the same programs on the same batches, which
are in memory, and nothing else. The table has the medians of the rounds, per step, and
the overhead; `outside` is the processor time that the thread of the loop spends outside
the steps, which a busy machine changes less. With `--one_call` another trainer of the
same model makes all steps of a round in one call (`steps_per_loop`). After the rounds
it times what comes now and then: a line of the log with its summaries, and with
`--samples` the samples of an evaluation. `per_step` is their share of a step at the
periods that are the default. Nothing is evaluated or saved.
"""

import argparse
import statistics
import tempfile
import time
from typing import Any

import tensorflow as tf
from absl import logging

from benchmarks import measure
from t2t_mm import hparam, registry
from t2t_mm.features import Split
from t2t_mm.training import experiment, strategies, trainer, updates
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


def build(
    arguments: argparse.Namespace, output_dir: str, *, steps_per_loop: int = 1
) -> trainer.Trainer:
    """Returns a trainer of the problems."""
    config = RunConfig(
        train_steps=10**9,
        eval_every_steps=10**9,
        jit_compile=arguments.jit_compile,
        show_samples=3 if arguments.samples else 0,
        steps_per_loop=steps_per_loop,
    )
    where = strategies.make_distribution("auto", arguments.num_devices)
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


def run_round(loop: trainer.Trainer, steps: int) -> dict[str, float]:
    """Returns milliseconds per step in the loop, of the same steps alone, and outside.

    Those outside are processor time of the thread that runs the loop.
    """
    recorder = Recorder(loop._stepper.updates)
    loop._stepper.updates = recorder
    start, thread_start = time.perf_counter(), time.thread_time()
    for _ in range(steps):
        for step in loop._stepper.steps(1):
            loop._progress.add(*step)
    _fetch(step.output)
    middle = time.perf_counter()
    outside = time.thread_time() - thread_start - recorder.thread_seconds
    _fetch(recorder.replay())
    end = time.perf_counter()
    loop._stepper.updates = recorder._updates
    return {
        "loop_ms": 1e3 * (middle - start) / steps,
        "bare_ms": 1e3 * (end - middle) / steps,
        "outside_ms": 1e3 * outside / steps,
        "overhead_percent": 100 * ((middle - start) / (end - middle) - 1),
    }


def milliseconds_in_one_call(loop: trainer.Trainer, steps: int) -> float:
    """Returns the time of a step among several that are made in one call."""
    start = time.perf_counter()
    made = loop._stepper.steps(steps)
    _fetch(made[-1].output)
    return 1e3 * (time.perf_counter() - start) / steps


def _fetch(output: Any) -> None:
    tf.nest.map_structure(lambda x: x.numpy(), output)


def log_seconds(loop: trainer.Trainer, steps: int) -> float:
    """Returns how long a line of the log takes after some steps, summaries included."""
    for _ in range(steps):
        for step in loop._stepper.steps(1):
            loop._progress.add(*step)
    _fetch(step.output)
    start = time.perf_counter()
    loop._train_until(loop.state.step)  # nothing but the line
    return time.perf_counter() - start


def samples_seconds(loop: trainer.Trainer) -> float:
    """Returns how long the samples of an evaluation take."""
    samples = loop._summaries._samples
    start = time.perf_counter()
    with loop._history.summaries(loop.state.step, Split.EVAL):
        samples.write()
    return time.perf_counter() - start


def rare_rows(
    loop: trainer.Trainer, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Returns rows of what comes now and then."""
    every = RunConfig().log_every_steps
    seconds = {"line of the log": ([log_seconds(loop, 3) for _ in range(5)], every)}
    if arguments.samples:
        period = RunConfig().eval_every_steps * RunConfig().show_every_evals
        samples_seconds(loop)  # compiles
        seconds["samples"] = ([samples_seconds(loop) for _ in range(3)], period)
    return [
        {
            "what": name,
            "ms": measure.rounded(1e3 * statistics.median(values)),
            "every_steps": period,
            "per_step_ms": measure.rounded(1e3 * statistics.median(values) / period),
        }
        for name, (values, period) in seconds.items()
    ]


def rounds_of(
    loop: trainer.Trainer, arguments: argparse.Namespace, output_dir: str
) -> list[dict[str, float]]:
    """Returns what each round measured; folders go into `output_dir`."""
    steps, count = arguments.steps, arguments.rounds
    if not arguments.one_call:
        return [run_round(loop, steps) for _ in range(count)]
    in_one = build(arguments, f"{output_dir}/in_one_call", steps_per_loop=steps)
    milliseconds_in_one_call(in_one, steps)  # compiles
    return [
        run_round(loop, steps)
        | {"one_call_ms": milliseconds_in_one_call(in_one, steps)}
        for _ in range(count)
    ]


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
    parser.add_argument("--samples", action="store_true")
    parser.add_argument("--one_call", action="store_true")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    logging.set_verbosity(logging.WARNING)
    registry.import_registrations()
    with tempfile.TemporaryDirectory() as output_dir:
        loop = build(arguments, f"{output_dir}/loop")
        # Compiles; with XLA, shapes that come later are compiled in both halves.
        run_round(loop, 2 * arguments.steps)
        rounds = rounds_of(loop, arguments, output_dir)
        rare = rare_rows(loop, arguments)
    names = list(rounds[0])
    values = {name: [one[name] for one in rounds] for name in names}
    medians = {n: measure.rounded(statistics.median(v)) for n, v in values.items()}
    spread = measure.Timing(tuple(values["bare_ms"])).spread
    overheads = [measure.rounded(value) for value in values["overhead_percent"]]
    measure.report(
        [{"what": "step", **medians}, *rare],
        overheads_percent=overheads,
        spread_of_bare_percent=measure.rounded(100 * spread),
        **vars(arguments),
    )


if __name__ == "__main__":
    main()
