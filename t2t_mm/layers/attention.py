"""Multi-head dot-product attention (Vaswani et al. 2017), with caches for decoding."""

import contextlib
import contextvars
import math
from collections.abc import Iterator
from typing import NamedTuple

import tensorflow as tf

from t2t_mm.layers import cache as caches
from t2t_mm.layers import core, randomness

_MASKED = -1e9  # far below any score; finite, so that a fully masked row stays finite


_RECORD: contextvars.ContextVar[dict[str, tf.Tensor] | None] = contextvars.ContextVar(
    "attention_record", default=None
)


@contextlib.contextmanager
def recording() -> Iterator[dict[str, tf.Tensor]]:
    """Collects the weights of all attention that is computed inside the context.

    Yields:
      `[batch, heads, length, memory_length]`, or without heads if there are none, by
      name of the layer, in the order in which they are computed.
    """
    record: dict[str, tf.Tensor] = {}
    token = _RECORD.set(record)
    try:
        yield record
    finally:
        _RECORD.reset(token)


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


def attention_weights(
    scores: tf.Tensor,
    bias: tf.Tensor,
    *,
    name: str,
    dropout: float = 0.0,
    rng: randomness.RandomStream | None = None,
) -> tf.Tensor:
    """Returns the softmax of scores, computed in float32.

    Args:
      scores: `[..., length, memory_length]`; the result has its dtype.
      bias: float32, broadcast to the scores.
      name: what `recording` calls them.
      dropout: probability of dropping a weight.
      rng: None outside training.
    """
    weights = tf.nn.softmax(tf.cast(scores, tf.float32) + bias)
    record = _RECORD.get()
    if record is not None:
        record[name] = weights
    return randomness.dropout(tf.cast(weights, scores.dtype), dropout, rng)


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
        position: tf.Tensor | int = 0,
        dropout: float = 0.0,
        rng: randomness.RandomStream | None = None,
    ) -> tf.Tensor:
        """Attends from `x` to `memory`.

        Args:
          x: `[batch, length, hidden_size]`.
          memory: from `project`.
          bias: float32, broadcast to `[batch, heads, length, memory_length]`.
          position: `[]` int32, where `x` starts in the memory; only attention that
            knows distances asks.
          dropout: probability of dropping an attention weight.
          rng: None outside training.

        Returns:
          `[batch, length, hidden_size]`.
        """
        depth = self._hidden_size // self._num_heads
        queries = self._split_heads(self.query(x)) * (1.0 / math.sqrt(depth))
        scores = self._scores(queries, memory.keys, position)
        name = self.name_scope.name.rstrip("/")
        weights = attention_weights(scores, bias, name=name, dropout=dropout, rng=rng)
        mixed = self._mix(weights, memory.values, position)
        return self.output(self._join_heads(mixed))

    def _scores(
        self, queries: tf.Tensor, keys: tf.Tensor, position: tf.Tensor | int
    ) -> tf.Tensor:
        del position
        # [batch, heads, length, depth] -> [batch, heads, length, memory_length]
        return core.matmul_rows(queries, keys, transpose_b=True)

    def _mix(
        self, weights: tf.Tensor, values: tf.Tensor, position: tf.Tensor | int
    ) -> tf.Tensor:
        del position
        # [batch, heads, length, memory_length] -> [batch, heads, length, depth]
        return core.matmul_rows(weights, values)

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
        x = tf.expand_dims(x, 1)
        new = self.project(x)
        positions = tf.range(tf.shape(cache.keys)[2])
        cache = KeysValues(
            caches.write(cache.keys, new.keys, position, axis=2),
            caches.write(cache.values, new.values, position, axis=2),
        )
        bias = tf.where(positions <= position, 0.0, _MASKED)
        return tf.squeeze(self(x, cache, bias, position=position), 1), cache

    def _split_heads(self, x: tf.Tensor) -> tf.Tensor:
        depth = self._hidden_size // self._num_heads
        batch, length, _ = tf.unstack(tf.shape(x))
        heads = tf.reshape(x, [batch, length, self._num_heads, depth])
        # [batch, length, heads, depth] -> [batch, heads, length, depth]
        return tf.transpose(heads, [0, 2, 1, 3])

    def _join_heads(self, x: tf.Tensor) -> tf.Tensor:
        # [batch, heads, length, depth] -> [batch, length, heads, depth]
        heads = tf.transpose(x, [0, 2, 1, 3])
        batch, length, _, _ = tf.unstack(tf.shape(heads))
        return tf.reshape(heads, [batch, length, self._hidden_size])
