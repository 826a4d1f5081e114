"""How benchmarks measure and report.

Sides of a comparison take turns in one process, so that whatever else the machine does
hits all of them alike; medians count. A benchmark prints a table to stderr and one JSON
object to stdout.

    python -m benchmarks.measure

prints the roof of the machine: what no step can exceed.
"""

import argparse
import dataclasses
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

Name = TypeVar("Name", bound=Hashable)
Side = Callable[[], Any]
Row = Mapping[str, str | float | None]

MATMUL_SIZE = 4096
MEMORY_FLOATS = 2**26  # 256 MiB, far more than any cache
ROOF_REPEATS = 5


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long the calls of one side took, in seconds and in the order of the calls."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median in seconds."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Distance between the quartiles as a share of the median."""
        if len(self.seconds) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (high - low) / self.median

    def figures(self) -> dict[str, float]:
        """Returns what a table says of it: milliseconds, and the spread in percent."""
        return {
            "median_ms": rounded(1e3 * self.median),
            "fastest_ms": rounded(1e3 * min(self.seconds)),
            "spread_percent": rounded(100 * self.spread),
        }


def in_turns(
    sides: Mapping[Name, Side], *, repeats: int, warm_ups: int = 1
) -> dict[Name, Timing]:
    """Times functions in turns: each once, then each again.

    Every other round goes backwards, so that none always follows the same one.

    Args:
      sides: by name, functions that return when their work is done: what they compute
        must have been fetched, such as by `.numpy()`.
      repeats: timed calls of each.
      warm_ups: calls of each before that, which are not timed.
    """
    for _ in range(warm_ups):
        for side in sides.values():
            side()
    seconds: dict[Name, list[float]] = {name: [] for name in sides}
    for number in range(repeats):
        names = list(sides)
        for name in names[::-1] if number % 2 else names:
            start = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def times_faster(fast: Timing, slow: Timing) -> float:
    """Returns the median over the rounds of how many times faster one side was."""
    pairs = zip(fast.seconds, slow.seconds, strict=True)
    return statistics.median(s / f for f, s in pairs)


def roof(repeats: int = ROOF_REPEATS) -> dict[str, float]:
    """Returns what this machine can do at most, in float32 and with all its threads.

    Returns:
      `matmul_gflops`: of one product of two square matrices of 4096.
      `memory_gbytes_per_second`: reading and writing 256 MiB in place.
    """
    import tensorflow as tf  # late: some benchmarks time its import

    matrix = tf.random.stateless_uniform([MATMUL_SIZE, MATMUL_SIZE], [1, 2])
    memory = tf.Variable(tf.zeros([MEMORY_FLOATS]))
    ones = tf.ones([MEMORY_FLOATS])
    multiply = tf.function(lambda: tf.matmul(matrix, matrix)[0, 0], autograph=False)

    @tf.function(autograph=False)
    def add() -> tf.Tensor:
        memory.assign_add(ones)
        return memory[0]

    timings = in_turns(
        {"matmul": lambda: multiply().numpy(), "memory": lambda: add().numpy()},
        repeats=repeats,
    )
    bytes_moved = 3 * 4 * MEMORY_FLOATS  # two are read, one is written
    return {
        "matmul_gflops": rounded(2e-9 * MATMUL_SIZE**3 / timings["matmul"].median),
        "memory_gbytes_per_second": rounded(
            1e-9 * bytes_moved / timings["memory"].median
        ),
    }


def machine() -> dict[str, str | int]:
    """Returns what figures depend on: processor, threads and the version of Python."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":")[1] for line in file if line.startswith("model name")]
    return {
        "processor": " ".join(models[0].split()) if models else platform.machine(),
        "threads": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }


def report(rows: Sequence[Row], **figures: Any) -> None:
    """Prints the rows as a table to stderr, and all as JSON to stdout.

    Args:
      rows: with names of columns as keys; one that a row lacks stays empty.
      **figures: whatever else belongs to the result, for the JSON.
    """
    sys.stderr.write("\n".join(table(rows)) + "\n")
    print(json.dumps({"machine": machine(), "rows": list(rows), **figures}, indent=1))


def table(rows: Sequence[Row]) -> list[str]:
    """Returns lines: a header, then the rows; numbers end at their column's right."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [columns, *([_cell(row.get(name)) for name in columns] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    is_number = [
        all(row.get(name) is None or _is_number(row[name]) for row in rows)
        for name in columns
    ]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, is_number, strict=True)
        ).rstrip()
        for line in lines
    ]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if _is_number(value) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def rounded(value: float) -> float:
    """Returns a number with the four digits that a measurement may have."""
    if abs(value) >= 1000:
        return round(value)
    return float(f"{value:.4g}")


def main() -> None:
    """Prints the roof of this machine."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    figures = roof()
    report([figures])


if __name__ == "__main__":
    main()
