"""Runs programs of `benchmarks/accelerator_programs.py` on a GPU, by JAX alone.

    python -m benchmarks.accelerator --folder=programs [--cases=tiny_text] \
        [--seconds=5] [--output=OUT]

Compares what a program gives with what it gave where it was written, and times it:
calls follow one another without waiting, as in training, and groups are timed. The
table has the median of a call, how long the GPU was busy in it, the tokens per second,
what its products of matrices compute, and the share of the speed of one large product,
measured here, that they reach. A program repeats if it gives the same bits when it
begins anew. `--output` is a folder for the figures so far and the optimised programs,
each below its kernels by their time. A program that fails does not stop the others.

JAX's interface for a compiled program of another framework is private: this was written
for 0.11 and says so if it has changed.
"""

import argparse
import collections
import functools
import glob
import gzip
import json
import math
import os
import re
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import accelerator_arrays

_GROUPS = 5  # of calls that are timed
_PROFILED_CALLS = 3
_COMPARED_CALLS = 3  # with those of another machine, and with one another
_HEADINGS = (
    f"{'case':<26}{'compile s':>10}{'ms':>9}{'spread':>8}{'busy ms':>9}{'tokens/s':>12}"
    f"{'TFLOP':>8}{'TFLOP/s':>9}{'of peak':>9}{'GB':>7}{'repeats':>9}{'error':>10}"
)


class Executable:
    """A compiled program.

    Attributes:
      text: of the program, in StableHLO.
      optimised: the same as XLA made it.
      arguments: what it is called with; what it changes changes here.
    """

    def __init__(self, blob: bytes) -> None:
        """Compiles an HLO module for the first device."""
        try:
            from jax._src.lib import _jax, xla_client
        except ImportError as error:
            raise ImportError(
                f"JAX {jax.__version__} has no `_jax` and `xla_client` in `jax._src."
                "lib`; this was written for JAX 0.11."
            ) from error

        device = jax.devices()[0]
        computation = xla_client.XlaComputation(blob)
        self.text = re.sub(  # GPUs do not take what is not StableHLO
            r"mhlo\.copy (%\w+)( {.*})? : (tensor<.*?>)",
            r"stablehlo.reshape \1 : (\3) -> \3",
            _jax.mlir.xla_computation_to_mlir_module(computation),
        )
        self._loaded = device.client.compile_and_load(
            self.text, xla_client.DeviceList((device,)), xla_client.CompileOptions()
        )
        self.optimised = self._loaded.hlo_modules()[0].to_string()
        self.arguments: list[jax.Array] = []
        header = self.optimised.partition("entry_computation_layout")[0]
        # Output: parameter that it takes the place of.
        self._replaced = {
            int(output): int(parameter)
            for output, parameter in re.findall(r"\{(\d+)\}: \((\d+), \{\}", header)
        }

    @property
    def gigabytes(self) -> float:
        """What arguments, results and everything between them take at most."""
        memory = self._loaded.get_compiled_memory_stats()
        together = memory.argument_size_in_bytes + memory.temp_size_in_bytes
        in_place = memory.alias_size_in_bytes
        return (together + memory.output_size_in_bytes - in_place) / 1e9

    def __call__(self) -> list[jax.Array]:
        """Runs it once; what it changes is changed for the next call."""
        results = self._loaded.execute_sharded(self.arguments)
        outputs = [
            arrays[0] for arrays in results.disassemble_into_single_device_arrays()
        ]
        for output, parameter in self._replaced.items():
            self.arguments[parameter] = outputs[output]
        return [x for n, x in enumerate(outputs) if n not in self._replaced]


def seconds_per_call(call: Callable[[], Any], seconds: float) -> tuple[float, float]:
    """Returns the median over groups of calls, and their spread as a share of it."""
    jax.block_until_ready(call())
    start = time.perf_counter()
    jax.block_until_ready(call())
    once = time.perf_counter() - start
    count = max(1, math.ceil(seconds / _GROUPS / once))
    taken = []
    for _ in range(_GROUPS):
        start = time.perf_counter()
        for _ in range(count):
            result = call()
        jax.block_until_ready(result)
        taken.append((time.perf_counter() - start) / count)
    median = statistics.median(taken)
    return median, (max(taken) - min(taken)) / median


def kernel_seconds(call: Callable[[], Any]) -> dict[str, float]:
    """Returns the time of each kernel per call, by the profiler."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(_PROFILED_CALLS):
                result = call()
            jax.block_until_ready(result)
        (path,) = glob.glob(f"{folder}/**/*.xplane.pb", recursive=True)
        data = jax.profiler.ProfileData.from_file(path)
    seconds: dict[str, float] = collections.defaultdict(float)
    for plane in data.planes:
        if plane.name.startswith("/device:GPU"):
            for line in plane.lines:
                if line.name.startswith("Stream"):
                    for event in line.events:
                        share = event.duration_ns / 1e9 / _PROFILED_CALLS
                        seconds[event.name] += share
    return dict(seconds)


def products(text: str) -> float:
    """Returns the floating point operations of the products in a StableHLO module."""
    total = 0.0
    for line in text.splitlines():
        if "stablehlo.dot" in line:
            total += _of_dot(line)
        elif "stablehlo.convolution" in line:
            total += _of_convolution(line)
    return total


def _shapes(line: str) -> list[list[int]]:
    """Returns the shapes in an operation's type, the result's last."""
    found = re.findall(r"tensor<((?:\d+x)*)[a-z]\w*>", line.rpartition(" : ")[2])
    return [[int(n) for n in shape.split("x") if n] for shape in found]


def _of_dot(line: str) -> float:
    left, _, result = _shapes(line)
    contracted = re.search(r"contracting_dims = \[([\d, ]*)\]", line)
    axes = (
        [len(left) - 1]
        if contracted is None
        else map(int, contracted.group(1).split(","))
    )
    return 2.0 * math.prod(result) * math.prod(left[axis] for axis in axes)


def _of_convolution(line: str) -> float:
    _, kernel, result = _shapes(line)
    layout = re.search(r"x\[([\w, ]*)\]->", line).group(1).split(", ")
    return 2.0 * math.prod(result) * math.prod(kernel) / kernel[layout.index("o")]


def roof(product_size: int, copied_floats: int) -> dict[str, float]:
    """Returns what the device reaches at most: products per second and bytes."""
    figures = {}
    product, add = jax.jit(jnp.matmul), jax.jit(lambda x: x + 1.0)
    for dtype in ("float32", "bfloat16"):
        shape = (product_size, product_size)
        pair = [jax.random.normal(jax.random.key(n), shape, dtype) for n in (0, 1)]
        seconds, _ = seconds_per_call(functools.partial(product, *pair), 1.0)
        figures[f"{dtype}_teraflops"] = 2 * product_size**3 / seconds / 1e12
    x = jnp.ones([copied_floats], jnp.float32)
    seconds, _ = seconds_per_call(functools.partial(add, x), 1.0)
    figures["gigabytes_per_second"] = 2 * x.nbytes / seconds / 1e9
    return figures


def make_arguments(parameters: Sequence[dict[str, Any]]) -> Iterator[jax.Array]:
    """Returns the arrays of a program on the device, in order."""

    def make(parameter: dict[str, Any]) -> np.ndarray:
        return accelerator_arrays.make_array(**parameter)

    with futures.ThreadPoolExecutor() as pool:
        for array in pool.map(make, parameters):
            yield jax.device_put(array)


def error(given: dict[str, Any], expected: dict[str, Any]) -> float:
    """Returns the largest relative error of floats, or the share of other integers."""
    errors = []
    for name, value in expected.items():
        one, other = np.asarray(given[name]), np.asarray(value)
        if one.dtype.kind == "f":
            errors.append(float(np.max(np.abs(one - other) / np.abs(other))))
        else:
            errors.append(float(np.mean(one != other)))
    return max(errors)


def first_calls(
    program: Executable, facts: dict[str, Any]
) -> list[dict[str, np.ndarray]]:
    """Returns what a program gives when it begins with its arguments, by name."""
    program.arguments = []  # their memory, before others are made
    program.arguments = list(make_arguments(facts["parameters"]))
    given = []
    for _ in range(_COMPARED_CALLS):
        outputs = [np.asarray(x) for x in program()]
        given.append(dict(zip(facts["outputs"], outputs, strict=True)))
    return given


def compare(program: Executable, facts: dict[str, Any]) -> dict[str, Any]:
    """Returns how far a program is from itself and from another machine."""
    given, again = (first_calls(program, facts) for _ in range(2))
    figures: dict[str, Any] = {
        "is_repeatable": all(
            np.array_equal(one[name], other[name])
            for one, other in zip(given, again, strict=True)
            for name in one
        ),
        # None are expected of programs that were not run where they were written.
        "errors": [
            error(one, other)
            for one, other in zip(given, facts["expected"], strict=False)
        ],
    }
    if facts["kind"] != "search":
        figures["losses"] = [float(one["loss"]) for one in given]
    return figures


def measure(
    folder: str, name: str, seconds: float, roofs: dict[str, float], output: str
) -> dict[str, Any]:
    """Returns the figures of a program."""
    with open(os.path.join(folder, f"{name}.json"), encoding="utf-8") as file:
        facts = json.load(file)
    with gzip.open(os.path.join(folder, f"{name}.hlo.gz")) as file:
        blob = file.read()
    start = time.perf_counter()
    program = Executable(blob)
    taken = time.perf_counter() - start
    known = ("case", "kind", "hparams", "tokens", "million_parameters")
    figures = {key: facts[key] for key in known} | {"compile_seconds": taken}
    figures |= compare(program, facts)
    median, spread = seconds_per_call(program, seconds)
    figures |= {"seconds": median, "spread": spread, "gigabytes": program.gigabytes}
    figures["tokens_per_second"] = facts["tokens"] / median
    if facts["kind"] != "search":  # the products of a loop are not counted
        dtype = "bfloat16" if "bfloat16" in facts["hparams"] else "float32"
        figures["teraflop"] = products(program.text) / 1e12
        speed = figures["teraflop"] / median
        figures["share_of_peak"] = speed / roofs[f"{dtype}_teraflops"]
    kernels = kernel_seconds(program)
    figures |= {"busy_seconds": sum(kernels.values()), "kernels": len(kernels)}
    if output:
        write_details(output, name, program, kernels)
    return figures


def write_details(
    folder: str, name: str, program: Executable, kernels: dict[str, float]
) -> None:
    """Writes the optimised program and its kernels, the slowest first."""
    os.makedirs(folder, exist_ok=True)
    with gzip.open(os.path.join(folder, f"{name}.txt.gz"), "wt") as file:
        for kernel, seconds in sorted(kernels.items(), key=lambda item: -item[1]):
            file.write(f"{1e6 * seconds:10.1f} us  {kernel}\n")
        file.write(program.optimised)


def write_figures(
    folder: str, roofs: dict[str, float], results: Sequence[dict[str, Any]]
) -> None:
    """Writes what is known so far: a machine that is lent may be taken back."""
    if folder:
        with open(os.path.join(folder, "figures.json"), "w", encoding="utf-8") as file:
            json.dump({"roof": roofs, "programs": results}, file, indent=1)


def row(figures: dict[str, Any]) -> str:
    """Returns the line of the table."""
    line = (
        f"{figures['case']:<26}{figures['compile_seconds']:10.1f}"
        f"{1e3 * figures['seconds']:9.2f}{figures['spread']:8.0%}"
        f"{1e3 * figures['busy_seconds']:9.2f}{figures['tokens_per_second']:12,.0f}"
    )
    if "teraflop" in figures:
        speed = figures["teraflop"] / figures["seconds"]
        line += f"{figures['teraflop']:8.3f}{speed:9.1f}{figures['share_of_peak']:9.1%}"
    else:
        line += f"{'':>26}"
    repeats = "yes" if figures["is_repeatable"] else "no"
    errors = figures["errors"]
    largest = f"{max(errors):.1e}" if errors else "-"
    return line + f"{figures['gigabytes']:7.1f}{repeats:>9}{largest:>10}"


def main() -> None:
    """Measures the programs in a folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", required=True, help="with the programs")
    parser.add_argument("--cases", help="all in the folder, unless given")
    parser.add_argument("--seconds", type=float, default=3.0, help="per program")
    parser.add_argument("--output", default="", help="folder for details")
    arguments = parser.parse_args()
    found = sorted(glob.glob(os.path.join(arguments.folder, "*.json")))
    names = [os.path.basename(path).removesuffix(".json") for path in found]
    wanted = arguments.cases.split(",") if arguments.cases else names
    if not wanted or set(wanted) - set(names):
        parser.error(
            f"--cases must name programs in {arguments.folder}, which has "
            f"{', '.join(names) or 'none'}; got {arguments.cases or 'no name'}. "
            "Write them with benchmarks.accelerator_programs."
        )
    names = wanted
    jax.config.update("jax_enable_x64", True)  # counts of updates are int64
    is_gpu = jax.default_backend() == "gpu"
    roofs = roof(8192 if is_gpu else 1024, 2**30 if is_gpu else 2**24)
    print(jax.devices()[0].device_kind, json.dumps(roofs), file=sys.stderr)
    print(_HEADINGS, file=sys.stderr, flush=True)
    results = []
    for name in names:
        try:
            figures = measure(
                arguments.folder, name, arguments.seconds, roofs, arguments.output
            )
        except Exception:
            print(name, traceback.format_exc(), file=sys.stderr, flush=True)
            continue
        results.append(figures)
        print(row(figures), file=sys.stderr, flush=True)
        write_figures(arguments.output, roofs, results)
    print(json.dumps({"roof": roofs, "programs": results}, indent=1))
    if len(results) < len(names):
        sys.exit(1)


if __name__ == "__main__":
    main()
