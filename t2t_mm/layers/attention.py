"""Multi-head dot-product attention (Vaswani et al. 2017), with caches for decoding."""

import math
from typing import NamedTuple

import tensorflow as tf

from t2t_mm.layers import core, randomness

_MASKED = -1e9  # far below any score; finite, so that a fully masked row stays finite


class KeysValues(NamedTuple):
    """Projected memory, both `[batch, heads, memory_length, depth]`."""

    keys: tf.Tensor
    values: tf.Tensor


def padding_bias(mask: tf.Tensor) -> tf.Tensor:
    """Turns a mask `[batch, memory_length]` into `[batch, 1, 1, memory_length]`."""
    return tf.where(mask, 0.0, _MASKED)[:, None, None, :]


def causal_bias(length: tf.Tensor) -> tf.Tensor:
    """Returns `[1, 1, length, length]` that hides what comes after each position."""
    visible = tf.linalg.band_part(tf.ones([length, length], tf.bool), -1, 0)
    return tf.where(visible, 0.0, _MASKED)[None, None]


def dot_product_attention(
    queries: tf.Tensor,
    keys: tf.Tensor,
    values: tf.Tensor,
    bias: tf.Tensor,
    *,
    dropout: float = 0.0,
    rng: randomness.RandomStream | None = None,
) -> tf.Tensor:
    """Returns softmax(q k^T / sqrt(depth) + bias) v, the softmax in float32.

    Args:
      queries: `[..., length, depth]`.
      keys: `[..., memory_length, depth]`.
      values: `[..., memory_length, depth]`.
      bias: float32, broadcast to `[..., length, memory_length]`.
      dropout: probability of dropping an attention weight.
      rng: None outside training.
    """
    scores = tf.matmul(queries / math.sqrt(queries.shape[-1]), keys, transpose_b=True)
    weights = tf.nn.softmax(tf.cast(scores, tf.float32) + bias)
    weights = randomness.dropout(tf.cast(weights, values.dtype), dropout, rng)
    return tf.matmul(weights, values)


class MultiHeadAttention(tf.Module):
    """Attention with projected queries, keys, values and output."""

    def __init__(
        self, hidden_size: int, num_heads: int, *, use_bias: bool = False, name: str
    ) -> None:
        """Creates `4 * hidden_size ** 2` parameters, and as many biases as columns.

        Raises:
          ValueError: if `hidden_size` is not a multiple of `num_heads`.
        """
        super().__init__(name=name)
        if hidden_size % num_heads:
            raise ValueError(
                f"`hidden_size` ({hidden_size}) must be divisible by `num_heads` "
                f"({num_heads})."
            )
        self._hidden_size = hidden_size
        self._num_heads = num_heads
        with self.name_scope:
            self.query, self.key, self.value, self.output = (
                core.Dense(hidden_size, hidden_size, use_bias=use_bias, name=part)
                for part in ("query", "key", "value", "output")
            )

    def __call__(
        self,
        x: tf.Tensor,
        memory: KeysValues,
        bias: tf.Tensor,
        *,
        dropout: float = 0.0,
        rng: randomness.RandomStream | None = None,
    ) -> tf.Tensor:
        """Attends from `x` to `memory`.

        Args:
          x: `[batch, length, hidden_size]`.
          memory: from `project`.
          bias: float32, broadcast to `[batch, heads, length, memory_length]`.
          dropout: probability of dropping an attention weight.
          rng: None outside training.

        Returns:
          `[batch, length, hidden_size]`.
        """
        attended = dot_product_attention(
            self._split_heads(self.query(x)), *memory, bias, dropout=dropout, rng=rng
        )
        return self.output(self._join_heads(attended))

    def project(self, memory: tf.Tensor) -> KeysValues:
        """Projects `[batch, memory_length, hidden_size]` to keys and values."""
        return KeysValues(
            self._split_heads(self.key(memory)), self._split_heads(self.value(memory))
        )

    def init_cache(
        self, batch: tf.Tensor, max_length: int, dtype: tf.DType = tf.float32
    ) -> KeysValues:
        """Returns room for `max_length` positions of self-attention."""
        depth = self._hidden_size // self._num_heads
        empty = tf.zeros([batch, self._num_heads, max_length, depth], dtype)
        return KeysValues(empty, empty)

    def step(
        self, x: tf.Tensor, cache: KeysValues, position: tf.Tensor
    ) -> tuple[tf.Tensor, KeysValues]:
        """Computes self-attention of one new position.

        Args:
          x: `[batch, hidden_size]`, the new position.
          cache: keys and values of the positions before it.
          position: `[]` int32, where the new position is.

        Returns:
          `[batch, hidden_size]` and the new cache.
        """
        new = self.project(x[:, None])
        positions = tf.range(tf.shape(cache.keys)[2])
        here = (positions == position)[:, None]  # [max_length, 1]
        cache = KeysValues(
            tf.where(here, new.keys, cache.keys),
            tf.where(here, new.values, cache.values),
        )
        bias = tf.where(positions <= position, 0.0, _MASKED)
        return self(x[:, None], cache, bias)[:, 0], cache

    def _split_heads(self, x: tf.Tensor) -> tf.Tensor:
        depth = self._hidden_size // self._num_heads
        heads = tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1], self._num_heads, depth])
        # [batch, length, heads, depth] -> [batch, heads, length, depth]
        return tf.transpose(heads, [0, 2, 1, 3])

    def _join_heads(self, x: tf.Tensor) -> tf.Tensor:
        # [batch, heads, length, depth] -> [batch, length, heads, depth]
        heads = tf.transpose(x, [0, 2, 1, 3])
        return tf.reshape(
            heads, [tf.shape(heads)[0], tf.shape(heads)[1], self._hidden_size]
        )
