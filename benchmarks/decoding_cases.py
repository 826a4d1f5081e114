"""Models that decoding is measured with, and what others reached with the same work."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from t2t_mm import registry
from t2t_mm.features import FeatureSpec
from t2t_mm.model import Model

PROBLEM = "text"
_GATE_DEVIATION = 0.1  # of the weights of gates, so that positions choose many experts

T2T = "Tensor2Tensor on TensorFlow 1.15.5, two cores of this kind, 16 x 32 -> 32"
MARIAN = "PyTorch 2.13 and transformers 5.23 (Marian), two cores of this kind"


class Reference(NamedTuple):
    """What another program reached, and what is wanted of us.

    Attributes:
      tokens_per_second: of the other.
      factor: how many times as fast decoding here is to be.
      source: which program, on what.
    """

    tokens_per_second: float
    factor: float
    source: str


class Case(NamedTuple):
    """A model and the figures to compare with, by "greedy" and "beam"."""

    hparams_set: str
    changes: Mapping[str, Any]
    vocab_size: int
    references: Mapping[str, Reference]


CASES = {
    # 28.0 million parameters: the experts that a renamed hyperparameter left.
    "t2t_tiny": Case(
        "multimodel_t2t_tiny",
        dict(moe_num_experts=30, moe_filter_size=2048),
        8192,
        {"greedy": Reference(569, 20, T2T), "beam": Reference(57, 50, T2T)},
    ),
    # 10.2 million parameters: the first release, scaled down.
    "paper_like": Case(
        "multimodel_1p8",
        dict(hidden_size=192, moe_num_experts=30, moe_filter_size=192, moe_k=2),
        8192,
        {"greedy": Reference(176, 40, T2T)},
    ),
    "multimodel_tiny": Case("multimodel_tiny", {}, 8192, {}),
    "transformer_tiny": Case(
        "transformer_tiny",
        {},
        8192,
        {"greedy": Reference(4900, 2, MARIAN), "beam": Reference(1800, 2, MARIAN)},
    ),
    "transformer_base": Case(
        "transformer_base",
        {},
        32768,
        {"greedy": Reference(400, 2, MARIAN), "beam": Reference(202, 2, MARIAN)},
    ),
}


def make_model(case: Case, *, spread_gates: bool) -> Model:
    """Returns a model from text to text with random weights.

    Args:
      case: which.
      spread_gates: give gates random weights. They begin as zeros, so that all
        positions choose the same experts.
    """
    spec = FeatureSpec(
        modality="symbol", vocab_size=case.vocab_size, vocabulary="random"
    )
    hparams = registry.HPARAMS.get(case.hparams_set)()
    hparams = dataclasses.replace(hparams, **case.changes)
    (cls,) = (
        registry.MODELS.get(name)
        for name in registry.MODELS.names()
        if registry.MODELS.get(name).hparams_cls is type(hparams)
    )
    model = cls(hparams, {PROBLEM: {"inputs": spec, "targets": spec}}, seed=1)
    random = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if spread_gates and "gate/kernel" in variable.name:
            variable.assign(_GATE_DEVIATION * random.normal(size=variable.shape))
    return model


def make_features(
    model: Model, vocab_size: int, batch: int, length: int, *, seed: int = 0
) -> dict[str, tf.Tensor]:
    """Returns random inputs, all of the same length."""
    ids = np.random.default_rng(seed).integers(2, vocab_size, (batch, length))
    lengths = tf.fill([batch], length)
    return model.prepare(
        {"inputs": tf.constant(ids, tf.int32), "inputs_length": lengths}, PROBLEM
    )


def million_parameters(model: Model) -> float:
    """Returns how many numbers the model learns, in millions."""
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables) / 1e6


def computed_cache_bytes(model: Model, rows: int, inputs: int, length: int) -> int:
    """Returns what a cache takes by the sizes of the model, in bytes.

    Self-attention holds keys and values of `length` positions, attention to the source
    those of `inputs` ("simple": the source itself) and its padding; a convolution the
    `(kernel_size - 1) * dilation_rate + 1` inputs that its kernel spans.
    """
    hparams = model.hparams
    size = hparams.hidden_size
    position = 2 * size  # keys and values
    if type(model).__name__ != "MultiModel":
        layers = hparams.num_hidden_layers
        numbers = layers * (position * (length + inputs) + inputs)
        return 4 * rows * (numbers + 1)
    pasts = [
        (kernel - 1) * dilation + 1
        for kernel, dilation in zip(
            hparams.kernel_sizes, hparams.dilation_rates, strict=True
        )
    ]
    premix = 4 * 1 + 1 + 4 * 4 + 1  # kernels of 5, dilated by 1 and by 4
    blocks = hparams.num_mixer_blocks + hparams.num_decoder_blocks
    attentions = 1 + hparams.num_decoder_blocks
    numbers = size * (sum(pasts) * blocks + premix * attentions)
    numbers += 3 * size * 2  # the merge sees two channels for each, kernel 3
    if hparams.attention_type == "paper":
        numbers += attentions * (position * (length + inputs) + inputs)
        return 4 * rows * (numbers + 1)
    # The source and its mask of bytes.
    numbers += attentions * size * inputs
    return 4 * rows * (numbers + 1) + rows * attentions * inputs
