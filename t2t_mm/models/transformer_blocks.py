"""Layers of the Transformer: attention and feed-forward nets, each with its residual.

What the decoder uses has `__call__` for whole sequences and `step` for one new
position; both compute the same numbers.
"""

from typing import NamedTuple

import tensorflow as tf

from t2t_mm.layers import attention, core, moe, randomness, relative_attention
from t2t_mm.modality import Embedded
from t2t_mm.models import feed_forward
from t2t_mm.models.transformer_hparams import TransformerHParams


class SubLayer(tf.Module):
    """What surrounds a sub-layer f: x + dropout(f(LN(x))), or LN(x + dropout(f(x)))."""

    def __init__(self, hparams: TransformerHParams, *, name: str) -> None:
        """Creates the norm."""
        super().__init__(name=name)
        self._norm_first = hparams.norm_position == "pre"
        self._dropout = hparams.dropout
        with self.name_scope:
            self.layer_norm = core.LayerNorm(hparams.hidden_size)

    def before(self, x: tf.Tensor) -> tf.Tensor:
        """Returns what f takes."""
        return self.layer_norm(x) if self._norm_first else x

    def after(
        self, x: tf.Tensor, y: tf.Tensor, rng: randomness.RandomStream | None
    ) -> tf.Tensor:
        """Adds what f returned, `y`, to what came in, `x`."""
        total = x + randomness.dropout(y, self._dropout, rng)
        return total if self._norm_first else self.layer_norm(total)


class SelfAttention(SubLayer):
    """Attention of a sequence to itself."""

    def __init__(self, hparams: TransformerHParams, *, name: str) -> None:
        """Creates a norm and `4 * hidden_size ** 2` parameters of attention."""
        super().__init__(hparams, name=name)
        self._attention_dropout = hparams.attention_dropout
        with self.name_scope:
            self.attention = _make_self_attention(hparams)

    def __call__(
        self,
        x: tf.Tensor,
        bias: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> tf.Tensor:
        """Maps `[batch, length, hidden_size]` to the same shape.

        Args:
          x: the sequence.
          bias: broadcast to `[batch, heads, length, length]`.
          rng: None outside training.
        """
        y = self.before(x)
        y = self.attention(
            y,
            self.attention.project(y),
            bias,
            dropout=self._attention_dropout,
            rng=rng,
        )
        return self.after(x, y, rng)

    def step(
        self, x: tf.Tensor, cache: attention.KeysValues, position: tf.Tensor
    ) -> tuple[tf.Tensor, attention.KeysValues]:
        """Computes one new position `[batch, hidden_size]` of a causal sub-layer."""
        y, cache = self.attention.step(self.before(x), cache, position)
        return self.after(x, y, None), cache


def _make_self_attention(hparams: TransformerHParams) -> attention.MultiHeadAttention:
    sizes = hparams.hidden_size, hparams.num_heads
    window = hparams.relative_attention_window
    if window == 0:
        return attention.MultiHeadAttention(*sizes, name="attention")
    return relative_attention.RelativeSelfAttention(
        *sizes, window=window, name="attention"
    )


class SourceAttention(SubLayer):
    """Attention of the targets to the encoder's output."""

    def __init__(self, hparams: TransformerHParams, *, name: str) -> None:
        """Creates a norm and `4 * hidden_size ** 2` parameters of attention."""
        super().__init__(hparams, name=name)
        self._attention_dropout = hparams.attention_dropout
        with self.name_scope:
            self.attention = attention.MultiHeadAttention(
                hparams.hidden_size, hparams.num_heads, name="attention"
            )

    def __call__(
        self,
        x: tf.Tensor,
        source: attention.KeysValues,
        bias: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> tf.Tensor:
        """Maps `[batch, length, hidden_size]` to the same shape.

        Args:
          x: the targets.
          source: the encoder's output, projected.
          bias: `[batch, 1, 1, source_length]`, hides padding.
          rng: None outside training.
        """
        y = self.attention(
            self.before(x), source, bias, dropout=self._attention_dropout, rng=rng
        )
        return self.after(x, y, rng)


class FeedForward(SubLayer):
    """The sub-layer in which positions do not see each other."""

    def __init__(
        self, hparams: TransformerHParams, *, has_experts: bool, name: str
    ) -> None:
        """Creates a norm and the net.

        Args:
          hparams: sizes.
          has_experts: whether the layer is one of `moe_layers`.
          name: scope of the variables.
        """
        super().__init__(hparams, name=name)
        with self.name_scope:
            self.net: tf.Module = (
                feed_forward.FeedForward(hparams, name="net")
                if has_experts
                else feed_forward.DenseReluDense(
                    hparams.hidden_size,
                    hparams.filter_size,
                    dropout=hparams.relu_dropout,
                )
            )

    def __call__(
        self,
        x: tf.Tensor,
        mask: tf.Tensor,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> moe.MoeOutput:
        """Maps `[batch, length, hidden_size]` to the same shape, with `mask` of it."""
        output = self.net(self.before(x), mask, space_id, rng)
        return output._replace(values=self.after(x, output.values, rng))


class EncoderLayer(tf.Module):
    """Self-attention and a feed-forward net."""

    def __init__(
        self, hparams: TransformerHParams, *, has_experts: bool, name: str
    ) -> None:
        """Creates the sub-layers; see `FeedForward` for `has_experts`."""
        super().__init__(name=name)
        with self.name_scope:
            self.self_attention = SelfAttention(hparams, name="self_attention")
            self.feed_forward = FeedForward(
                hparams, has_experts=has_experts, name="feed_forward"
            )

    def __call__(
        self,
        x: tf.Tensor,
        mask: tf.Tensor,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> moe.MoeOutput:
        """Maps `[batch, length, hidden_size]` to the same shape.

        Args:
          x: the sequence.
          mask: `[batch, length]` bool; nothing attends to padding, and what is
            computed for it has no meaning.
          space_id: `[]` int32, the command, for gates that see it.
          rng: None outside training.
        """
        x = self.self_attention(x, attention.padding_bias(mask), rng)
        return self.feed_forward(x, mask, space_id, rng)


class DecoderCache(NamedTuple):
    """What one layer remembers while decoding.

    Attributes:
      own: keys and values of the target positions so far.
      source: keys and values of the encoder's output, which never change.
      source_bias: `[batch, 1, 1, source_length]`, hides padding.
    """

    own: attention.KeysValues
    source: attention.KeysValues
    source_bias: tf.Tensor


class DecoderLayer(tf.Module):
    """Causal self-attention, attention to the source and a feed-forward net."""

    def __init__(
        self, hparams: TransformerHParams, *, has_experts: bool, name: str
    ) -> None:
        """Creates the sub-layers; see `FeedForward` for `has_experts`."""
        super().__init__(name=name)
        with self.name_scope:
            self.self_attention = SelfAttention(hparams, name="self_attention")
            self.source_attention = SourceAttention(hparams, name="source_attention")
            self.feed_forward = FeedForward(
                hparams, has_experts=has_experts, name="feed_forward"
            )

    def __call__(
        self,
        targets: Embedded,
        source: Embedded,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> moe.MoeOutput:
        """Maps `[batch, length, hidden_size]` to the same shape.

        Args:
          targets: shifted; what is computed for padding has no meaning.
          source: the encoder's output.
          space_id: `[]` int32, the command, for gates that see it.
          rng: None outside training.
        """
        x, mask = targets.values, targets.mask
        x = self.self_attention(x, attention.causal_bias(tf.shape(x)[1]), rng)
        projected = self.source_attention.attention.project(source.values)
        bias = attention.padding_bias(source.mask)
        x = self.source_attention(x, projected, bias, rng)
        return self.feed_forward(x, mask, space_id, rng)

    def init_cache(self, source: Embedded, max_length: int) -> DecoderCache:
        """Projects the source and makes room for `max_length` target positions."""
        batch, dtype = tf.shape(source.values)[0], source.values.dtype
        return DecoderCache(
            self.self_attention.attention.init_cache(batch, max_length, dtype),
            self.source_attention.attention.project(source.values),
            attention.padding_bias(source.mask),
        )

    def step(
        self,
        x: tf.Tensor,
        cache: DecoderCache,
        space_id: tf.Tensor,
        position: tf.Tensor,
    ) -> tuple[tf.Tensor, DecoderCache]:
        """Computes one new position `[batch, hidden_size]`."""
        x, own = self.self_attention.step(x, cache.own, position)
        x = self.source_attention(x[:, None], cache.source, cache.source_bias, None)
        mask = tf.ones([tf.shape(x)[0], 1], tf.bool)
        x = self.feed_forward(x, mask, space_id, None).values
        return x[:, 0], cache._replace(own=own)
