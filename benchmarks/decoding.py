"""How fast outputs are found: greedily, with beams, and by whole passes of the model.

    python -m benchmarks.decoding [--cases=t2t_tiny,paper_like] [--sides=greedy,beam]
    python -m benchmarks.decoding --at_once=1 --lengths=64,128,512
    python -m benchmarks.decoding --first_output=transformer_tiny

All sides of a case produce the same number of ids with the same random weights and the
same inputs, other ones in each call, in turns in one process:

    greedy, beam    the search of t2t-decoder, compiled by XLA for the shape
    greedy_plain, beam_plain
                    the same in the plain graph, in which the first batches are decoded
    uncached        the whole model again for every symbol, encoder included, on all
                    positions, as Tensor2Tensor did

Searches are measured with one batch after the other and with several at the same time,
as t2t-decoder does (`--at_once`). Says how many `times` as fast that is as what others
reached (`decoding_cases.py`), what the first call took, and how large the cache of a
batch is and should be. `--lengths` gives the time of a position by the length of the
output. `--first_output` starts a new process
for a saved run, and says what the first output took. Gates are as they begin, so that
all positions choose the same experts, as when Tensor2Tensor was measured;
`--spread_gates` gives them random weights.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import tensorflow as tf

from benchmarks import decoding_cases, measure
from benchmarks.decoding_cases import CASES, PROBLEM
from t2t_mm import registry
from t2t_mm.decoding import compiled_search, searcher, side_by_side
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.model import Model

SIDES = ("greedy", "greedy_plain", "beam", "beam_plain", "uncached")
_INPUT_LENGTH = 32
_BATCHES = 4  # that take turns: a program must not be compiled for one alone
_ROUNDS = 4  # batches of a call for each that is decoded at the same time

Features = dict[str, tf.Tensor]
Decode = Callable[[Features], tf.Tensor]


class Side(NamedTuple):
    """What is measured.

    Attributes:
      name: one of `SIDES`.
      at_once: how many batches are decoded at the same time.
    """

    name: str
    at_once: int

    @property
    def batches(self) -> int:
        """How many batches a call decodes: at the ends, cores are idle."""
        return 1 if self.at_once == 1 else _ROUNDS * self.at_once


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

    def decode(features: Features) -> tf.Tensor:
        nobody = tf.zeros([features["inputs"].shape[0]], tf.bool)
        wanted = {k: v for k, v in features.items() if not k.startswith("targets")}
        return search(wanted, nobody).ids[:, 0]

    return decode


def make_uncached(model: Model, length: int) -> Decode:
    """Returns the same function with a whole pass of the decoder for every symbol."""

    @tf.function(autograph=False)
    def decode(features: Features) -> tf.Tensor:
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


def cache_bytes(model: Model, features: Features, length: int) -> int:
    """Returns the bytes of the state that decoding begins with."""
    encoded = model.encode(features, problem=PROBLEM).embedded
    state = model.init_state(encoded, features["target_space_id"], max_length=length)
    return sum(leaf.numpy().nbytes for leaf in tf.nest.flatten(state))


def measure_case(
    name: str, length: int, arguments: argparse.Namespace
) -> list[dict[str, str | float | None]]:
    """Returns a row for each side."""
    case = CASES[name]
    model = decoding_cases.make_model(case, spread_gates=arguments.spread_gates)
    batches = [
        decoding_cases.make_features(
            model, case.vocab_size, arguments.batch, _INPUT_LENGTH, seed=seed
        )
        for seed in range(_BATCHES)
    ]
    calls = {
        Side(side, at_once): call
        for side in arguments.sides.split(",")
        for at_once, call in _calls(
            make_side(model, side, length, arguments.beam_size),
            batches,
            [1] if side == "uncached" else map(int, arguments.at_once.split(",")),
        ).items()
    }
    first = measure.in_turns(calls, repeats=1, warm_ups=0)
    timings = measure.in_turns(calls, repeats=arguments.repeats)
    sizes = (arguments.batch, _INPUT_LENGTH, length)
    computed = decoding_cases.computed_cache_bytes(model, *sizes)
    rows = []
    for side, timing in timings.items():
        speed = side.batches * arguments.batch * length / timing.median
        reference = case.references.get(side.name.removesuffix("_plain"))
        rows.append(
            {
                "case": name,
                "parameters_m": measure.rounded(
                    decoding_cases.million_parameters(model)
                ),
                "side": side.name,
                "at_once": side.at_once,
                "length": length,
                "tokens_per_s": measure.rounded(speed),
                "reference": reference and reference.tokens_per_second,
                "times": reference
                and measure.rounded(speed / reference.tokens_per_second),
                "goal": reference and reference.factor,
                "position_ms": measure.rounded(
                    1e3 * timing.median / (side.batches * length)
                ),
                "spread_percent": timing.figures()["spread_percent"],
                "first_call_s": measure.rounded(first[side].median),
                "cache_mb": cache_bytes(model, batches[0], length) / 1e6,
                "cache_mb_computed": computed / 1e6,
            }
        )
    return rows


def _calls(
    decode: Decode, batches: Sequence[Features], numbers: Iterable[int]
) -> dict[int, Callable[[], None]]:
    """Returns what decodes batches, by how many at the same time."""
    endless = itertools.cycle(batches)

    def make(at_once: int) -> Callable[[], None]:
        count = Side("", at_once).batches

        def call() -> None:
            items = itertools.islice(endless, count)
            for _ in side_by_side.in_order(
                lambda features: decode(features).numpy(), items, number=at_once
            ):
                pass

        return call

    return {at_once: make(at_once) for at_once in numbers}


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
    parser.add_argument(
        "--at_once",
        default=",".join(map(str, sorted({1, side_by_side.default_number()}))),
        help="batches at the same time, such as 1,2",
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--spread_gates", action="store_true", help="positions choose many experts"
    )
    parser.add_argument("--first_output", choices=sorted(CASES))
    arguments = parser.parse_args()
    registry.import_registrations()
    registry.import_models()
    if arguments.first_output:
        seconds = first_output(arguments.first_output)
        figures = {f"{part}_s": measure.rounded(s) for part, s in seconds.items()}
        measure.report([{"case": arguments.first_output, **figures}])
        return
    rows = [
        row
        for name in arguments.cases.split(",")
        for length in arguments.lengths.split(",")
        for row in measure_case(name, int(length), arguments)
    ]
    sources = {
        f"{name} {side}": reference.source
        for name, case in CASES.items()
        for side, reference in case.references.items()
    }
    measure.report(rows, sources=sources)


if __name__ == "__main__":
    main()
