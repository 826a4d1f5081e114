"""Rows of batches: some of them, and what they have in common."""

import hashlib
from collections.abc import Hashable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf


class Rows(NamedTuple):
    """Some rows of a batch as a batch of their own.

    Attributes:
      features: the smaller batch.
      sources: `[size]`, which row of the larger each is.
      is_filler: `[size]` bool, which are there to fill it up, at the end.
    """

    features: dict[str, tf.Tensor]
    sources: np.ndarray
    is_filler: np.ndarray


def take(features: Mapping[str, tf.Tensor], rows: np.ndarray) -> Rows:
    """Returns at least one row.

    Sizes are powers of two or that of the whole, so that shapes are few.
    """
    whole = next(iter(features.values())).shape[0]
    size = min(whole, 1 << (len(rows) - 1).bit_length())
    sources = np.full(size, rows[0])
    sources[: len(rows)] = rows
    return Rows(
        {name: tf.gather(value, sources) for name, value in features.items()},
        sources,
        np.arange(size) >= len(rows),
    )


def first_halves(features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns prompts: the first half of the targets, rounded down."""
    lengths = features["targets_length"] // 2
    targets = features["targets"]
    is_given = tf.sequence_mask(lengths, tf.shape(targets)[1], targets.dtype)
    return {"targets": targets * is_given, "targets_length": lengths}


def digest(inputs: np.ndarray) -> Hashable:
    """Returns what equal inputs have in common: pixels themselves take much memory."""
    return inputs.shape, hashlib.sha256(inputs.tobytes()).digest()
