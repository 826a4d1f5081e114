"""Our side of `benchmarks.pytorch_marian`: `transformer` with random weights."""

import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import turns
from t2t_mm import hparam, registry
from t2t_mm.decoding import compiled_search, searcher, side_by_side
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.features import FeatureSpec
from t2t_mm.model import Model
from t2t_mm.training import optimizers, step_values, updates

PROBLEM = "text"


def make_model(size: dict[str, Any]) -> Model:
    """Returns a model of the size that `benchmarks.pytorch_marian` asks for."""
    registry.import_registrations()
    registry.import_models()
    spec = FeatureSpec(
        modality="symbol", vocab_size=size["vocab_size"], vocabulary="random"
    )
    hparams = hparam.resolve(size["hparams_set"], overrides=size["hparams"])
    specs = {PROBLEM: {"inputs": spec, "targets": spec}}
    return registry.MODELS.get("transformer")(hparams, specs, seed=1)


def make_decode(model: Model, features: dict[str, tf.Tensor], beams: int) -> Any:
    """Returns a function that decodes the features to outputs of their length."""
    length = int(features["inputs"].shape[1])
    # The end is forbidden, so that all outputs have as many ids; one more than asked.
    config = DecodeConfig(beam_size=beams, extra_length=1, force_decode_length=True)
    search = searcher.Searcher([model], PROBLEM, config=config, constraint=None)
    # As `t2t-decoder` does from the ninth batch of a shape on.
    find = compiled_search.CompiledSearch(search, PROBLEM, jit_compile=True)
    nobody = tf.zeros([features["inputs"].shape[0]], tf.bool)

    def decode() -> None:
        ids = find(features, nobody).ids.numpy()
        if ids.shape[2] < length or not ids[:, 0, :length].all():
            raise ValueError(f"Outputs are shorter than {length}: {ids.shape}.")

    return decode


def main() -> None:
    """Builds the model, makes a first step and serves."""
    size = json.loads(sys.argv[1])
    model = make_model(size)
    optimizer = optimizers.make_optimizer(model.trainable_variables, model.hparams)
    maker = updates.Updates(model, optimizer, None, jit_compile=False)
    random = np.random.default_rng(0)
    shape = (size["batch"], size["length"])
    batch = {}
    for name in ("inputs", "targets"):
        batch[name] = tf.constant(
            random.integers(2, size["vocab_size"], shape), "int32"
        )
        batch[f"{name}_length"] = tf.fill([size["batch"]], size["length"])
    batch = model.prepare(batch, PROBLEM)
    features = {k: v for k, v in batch.items() if not k.startswith("targets")}

    def train() -> float:
        outputs, _ = maker.step([step_values.Draw(PROBLEM, [batch])], 1e-5, (1, 2))
        return float(outputs[0].loss)

    train()
    facts = {
        "first_step_seconds": turns.seconds_since_start(),
        "parameters": sum(v.shape.num_elements() for v in model.trainable_variables),
        "version": f"tensorflow {tf.__version__}",
    }
    greedy, beams = (make_decode(model, features, beam_size) for beam_size in (1, 4))

    def decode_batches(decode: Callable[[], None]) -> None:
        number = side_by_side.default_number()
        items = range(size["batches"])
        for _ in side_by_side.in_order(lambda _: decode(), items, number=number):
            pass

    works = {
        "training step": train,
        "greedy": greedy,
        "beam 4": beams,
        "greedy, batches": lambda: decode_batches(greedy),
        "beam 4, batches": lambda: decode_batches(beams),
        "greedy, batches, both in threads": lambda: decode_batches(greedy),
        "beam 4, batches, both in threads": lambda: decode_batches(beams),
    }
    turns.serve(facts, works)


if __name__ == "__main__":
    main()
