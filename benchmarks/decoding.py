"""How fast outputs are found: greedily, with beams, and by whole passes of the model.

    python -m benchmarks.decoding [--cases=t2t_tiny,paper_like] [--sides=greedy,beam]
    python -m benchmarks.decoding --cases=multimodel_tiny --lengths=64,128,512
    python -m benchmarks.decoding --first_output=transformer_tiny

All sides of a case produce the same number of ids with the same random weights and the
same inputs, in turns in one process:

    greedy, beam    the search of t2t-decoder, compiled by XLA for the shape
    greedy_plain, beam_plain
                    the same in the plain graph, in which the first batches are decoded
    uncached        the whole model again for every symbol, on all positions, as
                    Tensor2Tensor did; the encoder runs once, there it did not

Prints a table with the ratio to what others reached (`decoding_cases.py`) and JSON:
medians, spreads, what the first call took, and the bytes of the cache. `--lengths`
gives the time of a position by the length of the output. `--first_output` starts a new
process for a saved run, and says what the first output took.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from benchmarks import decoding_cases
from benchmarks.decoding_cases import CASES, PROBLEM
from t2t_mm import registry
from t2t_mm.decoding import compiled_search, searcher
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.model import Model

SIDES = ("greedy", "greedy_plain", "beam", "beam_plain", "uncached")
_INPUT_LENGTH = 32

Decode = Callable[[dict[str, tf.Tensor]], tf.Tensor]


def make_search(
    model: Model, length: int, *, beam_size: int, jit_compile: bool
) -> Decode:
    """Returns a function from inputs to ids `[batch, length]` of the best outputs."""
    # So many ids whatever the scores: the end is forbidden.
    config = DecodeConfig(
        beam_size=beam_size,
        extra_length=length - _INPUT_LENGTH,
        force_decode_length=True,
    )
    search = compiled_search.CompiledSearch(
        searcher.Searcher([model], PROBLEM, config=config, constraint=None),
        PROBLEM,
        jit_compile,
    )

    def decode(features: dict[str, tf.Tensor]) -> tf.Tensor:
        nobody = tf.zeros([features["inputs"].shape[0]], tf.bool)
        wanted = {k: v for k, v in features.items() if not k.startswith("targets")}
        return search(wanted, nobody).ids[:, 0]

    return decode


def make_uncached(model: Model, length: int) -> Decode:
    """Returns the same function with a whole pass of the decoder for every symbol."""

    @tf.function(autograph=False)
    def decode(features: dict[str, tf.Tensor]) -> tf.Tensor:
        batch = tf.shape(features["inputs"])[0]
        columns = tf.range(length)

        def extend(position: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, ...]:
            given = {"targets": targets, "targets_length": tf.fill([batch], length)}
            logits = model({**features, **given}, problem=PROBLEM).outputs[:, position]
            # The end is forbidden.
            ids = tf.argmax(logits[:, 2:], -1, output_type=tf.int32) + 2
            return position + 1, tf.where(columns == position, ids[:, None], targets)

        start = (tf.constant(0), tf.zeros([batch, length], tf.int32))
        return tf.while_loop(lambda position, _: position < length, extend, start)[1]

    return decode


def make_side(model: Model, side: str, length: int, beam_size: int) -> Decode:
    """Returns what a side does."""
    if side == "uncached":
        return make_uncached(model, length)
    return make_search(
        model,
        length,
        beam_size=beam_size if side.startswith("beam") else 1,
        jit_compile=not side.endswith("_plain"),
    )


def measure(
    functions: dict[str, Decode], features: dict[str, tf.Tensor], repeats: int
) -> dict[str, dict[str, float]]:
    """Returns seconds of each function: of the first call, median and spread."""
    first: dict[str, float] = {}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for name, function in functions.items():
        start = time.perf_counter()
        function(features).numpy()
        first[name] = time.perf_counter() - start
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function(features).numpy()
            seconds[name].append(time.perf_counter() - start)
    return {
        name: {
            "first_call": first[name],
            "median": statistics.median(times),
            "spread": max(times) / min(times),
        }
        for name, times in seconds.items()
    }


def cache_bytes(model: Model, features: dict[str, tf.Tensor], length: int) -> int:
    """Returns the bytes of the state that decoding begins with."""
    encoded = model.encode(features, problem=PROBLEM).embedded
    state = model.init_state(encoded, features["target_space_id"], max_length=length)
    return sum(leaf.numpy().nbytes for leaf in tf.nest.flatten(state))


def measure_case(
    name: str, lengths: Sequence[int], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Returns an entry for each length and side."""
    case = CASES[name]
    model = decoding_cases.make_model(case, spread_gates=arguments.spread_gates)
    features = decoding_cases.make_features(
        model, case.vocab_size, arguments.batch, _INPUT_LENGTH
    )
    entries = []
    for length in lengths:
        sides = {
            side: make_side(model, side, length, arguments.beam_size)
            for side in arguments.sides.split(",")
        }
        sizes = (arguments.batch, _INPUT_LENGTH, length)
        about = {
            "case": name,
            "million_parameters": decoding_cases.million_parameters(model),
            "length": length,
            "cache_bytes": cache_bytes(model, features, length),
            "cache_bytes_computed": decoding_cases.computed_cache_bytes(model, *sizes),
        }
        for side, times in measure(sides, features, arguments.repeats).items():
            speed = arguments.batch * length / times["median"]
            reference = case.references.get(side.removesuffix("_plain"))
            entries.append(
                about
                | {"side": side, "tokens_per_second": speed, "seconds": times}
                | {"milliseconds_per_position": 1000 * times["median"] / length}
            )
            if reference is not None:
                entries[-1] |= {
                    "ratio": speed / reference.tokens_per_second,
                    "ratio_wanted": reference.factor,
                    "reference": reference.tokens_per_second,
                    "reference_source": reference.source,
                }
    return entries


_FIRST_OUTPUT = """
import json, sys, time
start = time.perf_counter()
import tensorflow
imported = time.perf_counter()
import t2t_mm
model = t2t_mm.load(sys.argv[1])
loaded = time.perf_counter()
model.decode("copy_digits", ["314159"], extra_length=1)
done = time.perf_counter()
print(json.dumps({"import": imported - start, "load": loaded - imported,
                  "first_output": done - loaded, "all": done - start}))
"""


def first_output(name: str) -> dict[str, float]:
    """Returns seconds from a new process to the first output of a saved run.

    The run knows one small vocabulary; all else is that of the case.
    """
    case = CASES[name]
    changes = ",".join(f"{key}={value}" for key, value in case.changes.items())
    with tempfile.TemporaryDirectory() as folder:
        run, data = os.path.join(folder, "run"), os.path.join(folder, "data")
        places = ["--problem=copy_digits", f"--data_dir={data}"]
        train = [f"--output_dir={run}", "--train_steps=1", "--eval_steps=1"]
        sizes = [f"--hparams_set={case.hparams_set}", f"--hparams={changes}"]
        model = registry.HPARAMS.get(case.hparams_set)()
        (cls,) = (
            n
            for n in registry.MODELS.names()
            if registry.MODELS.get(n).hparams_cls is type(model)
        )
        command = [sys.executable, "-m"]
        subprocess.run([*command, "t2t_mm.bin.t2t_datagen", *places], check=True)
        subprocess.run(
            [*command, "t2t_mm.bin.t2t_trainer", *places, *train, *sizes]
            + [f"--model={cls}"],
            check=True,
        )
        done = subprocess.run(
            [sys.executable, "-c", _FIRST_OUTPUT, run],
            check=True,
            stdout=subprocess.PIPE,
        )
    return json.loads(done.stdout)


def as_table(entries: Sequence[dict[str, Any]]) -> str:
    """Returns entries as lines of equal columns."""
    lines = [
        f"{'case':<17} {'side':<13} {'length':>6} {'tokens/s':>9} {'ms/pos.':>8} "
        f"{'ratio':>6} {'wanted':>6} {'first s':>7} {'spread':>6} {'cache MB':>8}"
    ]
    for entry in entries:
        ratio, wanted = entry.get("ratio"), entry.get("ratio_wanted")
        lines.append(
            f"{entry['case']:<17} {entry['side']:<13} {entry['length']:>6} "
            f"{entry['tokens_per_second']:>9.0f} "
            f"{entry['milliseconds_per_position']:>8.2f} "
            f"{f'{ratio:.1f}' if ratio else '':>6} "
            f"{f'{wanted:.0f}' if wanted else '':>6} "
            f"{entry['seconds']['first_call']:>7.1f} "
            f"{entry['seconds']['spread']:>6.2f} "
            f"{entry['cache_bytes'] / 1e6:>8.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measures what was asked for, and prints it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--lengths", default="33", help="above 32, that of the inputs")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--beam_size", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--spread_gates", action="store_true", help="positions choose many experts"
    )
    parser.add_argument("--first_output", choices=sorted(CASES))
    arguments = parser.parse_args()
    registry.import_registrations()
    registry.import_models()
    if arguments.first_output:
        print(json.dumps(first_output(arguments.first_output), indent=2))
        return
    entries = []
    for name in arguments.cases.split(","):
        lengths = [int(length) for length in arguments.lengths.split(",")]
        entries += measure_case(name, lengths, arguments)
    print(json.dumps(entries, indent=2))
    print(as_table(entries))


if __name__ == "__main__":
    main()
