"""Compares estimates of memory with what a step takes.

python -m benchmarks.memory --data_dir=data --problem=miniworld_ende,miniworld_class

Each shape of batches is measured in a process of its own, where nothing is left from
others. Two steps with the first row alone trace and compile the graphs; what is held
after them is taken off the peak of a step with the whole batch. On a CPU it is memory
of the process, on an accelerator that of its allocator.
"""

import argparse
import ctypes
import gc
import subprocess
import sys

from t2t_mm import hparam, registry


def main() -> None:
    """Prints a table: the shortest and the longest batches of each problem."""
    arguments = _parse()
    if arguments.bucket is not None:
        print(_measure(arguments))
        return
    print(f"{'problem':<20} {'batch':<18} {'estimated MiB':>14} {'measured MiB':>13}")
    for problem in arguments.problem.split(","):
        for bucket in ("0", "-1"):  # the shortest and the longest
            one = [f"--problem={problem}", f"--bucket={bucket}"]
            command = [sys.executable, "-m", "benchmarks.memory", *sys.argv[1:], *one]
            print(subprocess.check_output(command, text=True).strip(), flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--problem", required=True, help="names with commas between")
    parser.add_argument("--model", default="multimodel")
    parser.add_argument("--hparams_set", default="multimodel_tiny")
    parser.add_argument("--hparams", default="")
    parser.add_argument("--bucket", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(arguments: argparse.Namespace) -> str:
    # Late: they import TensorFlow.
    from t2t_mm.training import (
        activations,
        memory,
        preflight,
        preparation,
        step_values,
        updates,
    )
    from t2t_mm.training.run_config import RunConfig

    registry.import_registrations()
    parts = preparation.prepare(
        model_name=arguments.model,
        hparams_set=arguments.hparams_set,
        hparams=hparam.resolve(arguments.hparams_set, overrides=arguments.hparams),
        problem_names=[arguments.problem],
        config=RunConfig(),
        data_dir=arguments.data_dir,
    )
    bucket = parts.batches[arguments.problem].shapes()[arguments.bucket]
    graph = activations.StepGraph(parts.model, arguments.problem, parts.trained)
    estimated = graph.peak_bytes(bucket) + preflight.state(parts).gradients
    trainer = updates.Updates(
        parts.model, parts.optimizer, parts.average, jit_compile=False
    )
    whole = parts.batches[arguments.problem].example_batch(bucket)
    row = {name: feature[:1] for name, feature in whole.items()}

    def peak(features: dict) -> int:
        batch = parts.model.prepare(features, arguments.problem)
        memory.reset_peak()
        draw = step_values.Draw(arguments.problem, [batch])
        outputs, _ = trainer.step([draw], 1e-3, (0, 1))
        float(outputs[0].loss)
        return memory.peak_bytes()

    for _ in range(2):
        peak(row)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what tracing left, a step would take up again
    memory.reset_peak()
    before = memory.peak_bytes()
    measured = peak(whole) - before
    return (
        f"{arguments.problem:<20} {preflight.shape_text(bucket):<18} "
        f"{estimated / 2**20:>14.0f} {measured / 2**20:>13.0f}"
    )


if __name__ == "__main__":
    main()
