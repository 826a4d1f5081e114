"""How long a training step takes, and how that compares with other code.

    python -m benchmarks.training_step [--cases=t2t_tiny_text,1p8_text] [--xla] \
        [--hparams=clip_grad_norm=0] [--seconds=10] [--json=steps.json]

Every case runs in a process of its own, on one random batch that stays in memory:
forward, backward, clipping and the optimizer, by the function that the trainer calls.
The table has the median of the step and its quartiles, how many times as fast as the
reference it is and should be, the peak memory of the process, what the step computes
and moves, and which share it reaches of the speed of one large product of matrices,
measured in the same process. `--list` prints the cases.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks import step_cases
from t2t_mm import config_fields, hparam, registry

_WARM_UP_STEPS = 2  # the first one traces
_LEAST_STEPS = 3
_PROBLEM = "measured"
_ROOF_SIZE = 4096  # of a square matrix: as in the references
_HEADINGS = (
    f"{'case':<18}{'mode':<7}{'median s':>9}{'quartiles s':>16}{'reference':>10}"
    f"{'ratio':>7}{'goal':>6}{'M params':>10}{'peak GB':>9}{'GFLOP':>8}{'GB':>7}"
    f"{'GFLOP/s':>9}{'of peak':>9}"
)


def make_model(case: step_cases.Case, overrides: str) -> Any:
    """Returns the model of a case."""
    hparams = dataclasses.replace(
        hparam.resolve(case.hparams_set), **dict(case.overrides)
    )
    changes = config_fields.parse_overrides(overrides, type(hparams))
    hparams = dataclasses.replace(hparams, **changes)
    specs = {"inputs": case.task.inputs, "targets": case.task.targets}
    return registry.MODELS.get(case.model)(hparams, {_PROBLEM: specs})


def make_batch(task: step_cases.Task) -> dict[str, Any]:
    """Returns random features without padding."""
    import numpy as np
    import tensorflow as tf

    random = np.random.default_rng(0)
    batch = {}
    for role in ("inputs", "targets"):
        spec, shape = getattr(task, role), task.shape(role)
        if spec.dtype == "float32":
            array = random.normal(size=shape)
        else:
            array = random.integers(2, spec.vocab_size or 256, shape)
        batch[role] = tf.constant(array.astype(spec.dtype))
        batch[f"{role}_length"] = tf.fill([task.examples], shape[1])
    return batch


def seconds_of_steps(step: Callable[[int], Any], seconds: float) -> list[float]:
    """Returns the time of every step for about `seconds`, the first ones left out."""
    for number in range(_WARM_UP_STEPS):
        step(number)
    taken: list[float] = []
    while len(taken) < _LEAST_STEPS or sum(taken) < seconds:
        start = time.perf_counter()
        step(_WARM_UP_STEPS + len(taken))
        taken.append(time.perf_counter() - start)
    return taken


def matrix_peak() -> float:
    """Returns how many floating point operations per second a large product reaches."""
    import tensorflow as tf

    size = _ROOF_SIZE
    one, other = (
        tf.random.stateless_normal([size, size], [seed, seed]) for seed in range(2)
    )
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        tf.matmul(one, other)[0, 0].numpy()
        seconds.append(time.perf_counter() - start)
    return 2.0 * size**3 / min(seconds)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Returns the figures of one case; meant for a process of its own."""
    import tensorflow as tf

    from benchmarks import operation_counts
    from t2t_mm.training import memory, optimizers, step_values, updates

    registry.import_registrations()
    registry.import_models()
    case = step_cases.CASES[arguments.one]
    model = make_model(case, arguments.hparams)
    optimizer = optimizers.make_optimizer(model.trainable_variables, model.hparams)
    maker = updates.Updates(model, optimizer, None, jit_compile=arguments.xla)
    batch = model.prepare(make_batch(case.task), _PROBLEM)

    def step(number: int) -> None:
        draw = step_values.Draw(_PROBLEM, [batch])
        outputs, update = maker.step([draw], 1e-5, (1, number))
        if not update.applied.numpy():
            raise ValueError(f"Step {number} gave {outputs[0].loss}: no finite loss.")

    taken = seconds_of_steps(step, arguments.seconds)
    first, median, third = statistics.quantiles(taken, n=4)
    figures = {
        "case": arguments.one,
        "mode": "xla" if arguments.xla else "graph",
        "hparams": arguments.hparams,
        "median_seconds": median,
        "quartiles_seconds": [first, third],
        "steps": len(taken),
        "reference_seconds": case.reference_seconds,
        "ratio": case.reference_seconds / median,
        "goal": case.goal,
        "million_parameters": sum(
            variable.shape.num_elements() for variable in model.trainable_variables
        )
        / 1e6,
        "reference_million_parameters": case.reference_parameters,
        "peak_gigabytes": memory.peak_bytes() / 1e9,
        "matrix_peak_gigaflops": matrix_peak() / 1e9,
    }
    graph = updates.Updates(model, optimizer, None, jit_compile=False)
    counts = operation_counts.count(
        lambda: graph._gradients(
            _PROBLEM, batch, tf.constant(1.0), tf.constant([1, 0])
        )[0]
    )
    speed = counts.products / median / 1e9
    return figures | {
        "gigaflop": counts.products / 1e9,
        "moved_gigabytes": counts.bytes_moved / 1e9,
        "gigaflops": speed,
        "share_of_matrix_peak": speed / figures["matrix_peak_gigaflops"],
    }


def row(figures: dict[str, Any]) -> str:
    """Returns the line of the table."""
    first, third = figures["quartiles_seconds"]
    return (
        f"{figures['case']:<18}{figures['mode']:<7}{figures['median_seconds']:9.3f}"
        f"{f'{first:.3f}-{third:.3f}':>16}{figures['reference_seconds']:10.3f}"
        f"{figures['ratio']:7.2f}{figures['goal']:6g}"
        f"{figures['million_parameters']:10.2f}{figures['peak_gigabytes']:9.2f}"
        f"{figures['gigaflop']:8.1f}{figures['moved_gigabytes']:7.2f}"
        f"{figures['gigaflops']:9.1f}{figures['share_of_matrix_peak']:9.0%}"
    )


def run_case(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures a case in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training_step", f"--one={name}"]
    command += [f"--hparams={arguments.hparams}", f"--seconds={arguments.seconds}"]
    command += ["--xla"] * arguments.xla
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=quiet)
    return json.loads(output.stdout.splitlines()[-1])


def main() -> None:
    """Measures the cases in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", default=",".join(step_cases.CASES))
    parser.add_argument("--hparams", default="", help="overrides of every case")
    parser.add_argument("--xla", action="store_true", help="compile with XLA")
    parser.add_argument("--seconds", type=float, default=10.0, help="per case")
    parser.add_argument("--json", help="file for the figures")
    parser.add_argument("--list", action="store_true", help="print the cases")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(step_cases.CASES))
        return
    if arguments.one:
        print(json.dumps(measure(arguments)))
        return
    names = arguments.cases.split(",")
    unknown = set(names) - set(step_cases.CASES)
    if unknown:
        parser.error(
            f"--cases must name some of {', '.join(step_cases.CASES)}; got "
            f"{', '.join(sorted(unknown))}."
        )
    print(_HEADINGS, flush=True)
    results = []
    for name in names:
        results.append(run_case(name, arguments))
        print(row(results[-1]), flush=True)
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
