"""Compares estimates of memory with what a step takes.

python -m benchmarks.memory --data_dir=data --problem=miniworld_ende,miniworld_class

Each shape of batches is measured in a process of its own, where nothing is left from
others: the peak of the third step, less what there was before the first. On a CPU it is
the memory of the process, on an accelerator that of its allocator.
"""

import argparse
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
    from t2t_mm.training import (  # late: they import TensorFlow
        activations,
        experiment,
        memory,
        preflight,
        updates,
    )
    from t2t_mm.training.run_config import RunConfig

    registry.import_registrations()
    parts = experiment.prepare(
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
    example = parts.batches[arguments.problem].example_batch(bucket)
    draw = updates.Draw(
        arguments.problem, [parts.model.prepare(example, arguments.problem)]
    )
    memory.reset_peak()
    before = memory.peak_bytes()
    for step in range(3):
        memory.reset_peak()  # the first steps also compile
        outputs, _ = trainer.step([draw], 1e-3, (0, step))
        float(outputs[0].loss)
    measured = memory.peak_bytes() - before
    return (
        f"{arguments.problem:<20} {preflight.shape_text(bucket):<18} "
        f"{estimated / 2**20:>14.0f} {measured / 2**20:>13.0f}"
    )


if __name__ == "__main__":
    main()
