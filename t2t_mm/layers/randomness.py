"""Random numbers of a training step, as a function of its seed.

Nothing here keeps state between steps: a step that is given the same seed draws the
same dropout masks and gating noise, so that a resumed run repeats an uninterrupted one
bit for bit. Steps compiled by XLA draw other numbers than those that are not: it lays
them out differently, whatever the generator.
"""

import copy
import math
from typing import Any

import tensorflow as tf

# TensorFlow's choice outside XLA. What it chooses for XLA:CPU takes 100 times as long.
ALGORITHM = "philox"
_PHILOX = 1  # its number for operations


class RandomStream:
    """Hands out random numbers within one forward pass, in the order of the calls.

    The generator maps a key and a counter of 128 bits to numbers (Salmon et al. 2011,
    Philox). A seed gives the key of all calls; the upper half of the counter is the
    number of the call, and the lower half counts within it, so no two calls have a
    number in common. To fold the number of a call into the seed, as TensorFlow offers,
    took 100 operations for each, four tenths of all in a step of `transformer_base`.

    Layers take a stream, or None when they are not training: then nothing is random.
    """

    def __init__(self, seed: tf.Tensor) -> None:
        """Creates a stream.

        Args:
          seed: `[2]` int32, different for every training step.
        """
        # `[1]` uint64
        self._key = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed).key
        self._calls = 0

    def uniform(self, shape: Any) -> tf.Tensor:
        """Returns numbers that no other call returns, from 0 to below 1, float32."""
        self._calls += 1
        return tf.raw_ops.StatelessRandomUniformV2(
            shape=shape,
            key=self._key,
            counter=tf.constant([0, self._calls], tf.uint64),
            alg=_PHILOX,
            dtype=tf.float32,
        )

    def copy(self) -> "RandomStream":
        """Returns a stream that hands out what this one is about to hand out."""
        return copy.copy(self)

    def go_on_after(self, stream: "RandomStream") -> None:
        """Makes this stream go on where `stream`, a copy of it, has got to."""
        self._calls = stream._calls


def uniform(shape: Any, rng: RandomStream) -> tf.Tensor:
    """Returns numbers from 0 to below 1, float32.

    Args:
      shape: int32, or a list of ints and tensors.
      rng: where they come from.
    """
    return rng.uniform(shape)


def normal(shape: tf.Tensor, rng: RandomStream) -> tf.Tensor:
    """Returns standard normal numbers, float32 (Box and Muller 1958).

    Three times as fast on CPU as TensorFlow's own, which computes them one by one.

    Args:
      shape: int32, of two axes or more.
      rng: where they come from.
    """
    size = tf.reduce_prod(shape)
    half = (size + 1) // 2
    first, second = tf.unstack(uniform([2, half], rng))
    radius = tf.sqrt(-2.0 * tf.math.log(1.0 - first))  # of (0, 1]: never infinite
    angle = 2.0 * math.pi * second
    pairs = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], 0)
    return tf.reshape(pairs[:size], shape)


def dropout(x: tf.Tensor, rate: float, rng: RandomStream | None) -> tf.Tensor:
    """Zeroes elements with probability `rate` and scales the others up.

    Args:
      x: any shape.
      rate: probability, at least 0 and below 1.
      rng: None outside training, which returns `x` as it is.
    """
    if rng is None or rate == 0.0:
        return x
    # Drawn in float32: bfloat16 has 128 numbers between 0 and 1, too few for a rate.
    kept = uniform(tf.shape(x), rng) >= rate
    return tf.where(kept, x * tf.cast(1.0 / (1.0 - rate), x.dtype), 0.0)
