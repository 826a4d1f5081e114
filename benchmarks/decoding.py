"""How much the decoder's cache saves: greedy decoding with it and without, and beams.

    python benchmarks/decoding.py [--hparams_set=multimodel_tiny] [--length=32]

All sides produce the same number of ids with the same random weights, batch and graph
mode, in turns in one process. Without the cache, the whole model is run again for every
position, on the prefix so far padded to the full length. `beam` is the search that
`t2t-decoder` does; its tokens are those of the best output. Prints medians as JSON, and
what compiling each side took.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from t2t_mm import hparam, registry
from t2t_mm.decoding import searcher
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.features import FeatureSpec
from t2t_mm.model import Model

PROBLEM = "text"
VOCAB_SIZE = 8192


def make_model(hparams_set: str) -> Model:
    """Returns a model from text to text with random weights."""
    registry.import_registrations()
    registry.import_models()
    spec = FeatureSpec(modality="symbol", vocab_size=VOCAB_SIZE, vocabulary="random")
    specs = {PROBLEM: {"inputs": spec, "targets": spec}}
    hparams = hparam.resolve(hparams_set)
    return registry.MODELS.get("multimodel")(hparams, specs, seed=1)


def decode_cached(model: Model, length: int) -> Callable[..., tf.Tensor]:
    """Returns a function from inputs to the ids and logits of `length` steps."""

    @tf.function
    def decode(features: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        encoded = model.encode(features, problem=PROBLEM).embedded
        batch = tf.shape(encoded.values)[0]
        state = model.init_state(
            encoded, features["target_space_id"], max_length=length
        )
        ids = tf.zeros([batch], tf.int32)
        outputs = tf.TensorArray(tf.int32, length)
        scores = tf.TensorArray(tf.float32, length)
        for position in tf.range(length):
            logits, state = model.decode_step(ids, state, position, problem=PROBLEM)
            ids = tf.argmax(logits, -1, output_type=tf.int32)
            outputs = outputs.write(position, ids)
            scores = scores.write(position, logits)
        return tf.transpose(outputs.stack()), tf.transpose(scores.stack(), [1, 0, 2])

    return decode


def decode_again(model: Model, length: int) -> Callable[..., tf.Tensor]:
    """Returns the same function without a cache: the whole model for every step."""

    @tf.function
    def decode(features: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        batch = tf.shape(features["inputs"])[0]
        targets = tf.zeros([batch, length], tf.int32)
        scores = tf.TensorArray(tf.float32, length)
        lengths = tf.fill([batch], length)
        columns = tf.range(length)
        for position in tf.range(length):
            everything = {**features, "targets": targets, "targets_length": lengths}
            logits = model(everything, problem=PROBLEM).outputs[:, position]
            ids = tf.argmax(logits, -1, output_type=tf.int32)
            targets = tf.where(columns == position, ids[:, None], targets)
            scores = scores.write(position, logits)
        return targets, tf.transpose(scores.stack(), [1, 0, 2])

    return decode


def search_beams(model: Model, length: int, beam_size: int) -> Callable[..., tf.Tensor]:
    """Returns a function from inputs to the best ids of a beam search."""
    # As many ids as the other sides: inputs are as long, and the end is forbidden.
    config = DecodeConfig(beam_size=beam_size, extra_length=1, force_decode_length=True)
    search = searcher.Searcher([model], PROBLEM, config=config, constraint=None)

    @tf.function
    def decode(features: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        nobody = tf.zeros([tf.shape(features["inputs"])[0]], tf.bool)
        found = search(features, nobody)
        return found.ids[:, 0, :length], found.scores

    return decode


def main() -> None:
    """Measures both sides and prints the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hparams_set", default="multimodel_tiny")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=32)
    parser.add_argument("--beam_size", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    model = make_model(arguments.hparams_set)
    rng = np.random.default_rng(0)
    shape = (arguments.batch, arguments.length)
    features = model.prepare(
        {
            "inputs": tf.constant(rng.integers(2, VOCAB_SIZE, shape), tf.int32),
            "inputs_length": tf.fill([arguments.batch], arguments.length),
        },
        PROBLEM,
    )
    sides = {
        "cached": decode_cached(model, arguments.length),
        "again": decode_again(model, arguments.length),
        "beam": search_beams(model, arguments.length, arguments.beam_size),
    }
    results, first_seconds = {}, {}
    for name, side in sides.items():
        start = time.perf_counter()
        results[name] = side(features)
        first_seconds[name] = round(time.perf_counter() - start, 1)
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(arguments.repeats):
        for name, side in sides.items():
            start = time.perf_counter()
            side(features)[0].numpy()
            seconds[name].append(time.perf_counter() - start)
    tokens = arguments.batch * arguments.length
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    difference = tf.abs(results["cached"][1] - results["again"][1])
    same = results["cached"][0] == results["again"][0]
    report = {
        "hparams_set": arguments.hparams_set,
        "batch": arguments.batch,
        "length": arguments.length,
        "beam_size": arguments.beam_size,
        "tokens_per_second": {n: round(tokens / s) for n, s in medians.items()},
        "speedup": round(medians["again"] / medians["cached"], 1),
        "first_call_seconds": first_seconds,
        "spread": {n: round(max(t) / min(t), 2) for n, t in seconds.items()},
        "same_ids": bool(tf.reduce_all(same)),
        "largest_difference_of_logits": float(tf.reduce_max(difference)),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
