"""Layers of Tensor2Tensor's own MultiModel.

What the decoder uses has `__call__` for whole sequences and `step` for one new
position; both compute the same numbers.
"""

from typing import NamedTuple

import tensorflow as tf

from t2t_mm.layers import attention, conv, core, moe, randomness
from t2t_mm.modality import Embedded
from t2t_mm.models import feed_forward
from t2t_mm.models.multimodel_t2t_hparams import MultiModelT2THParams

_LAST_DILATION_RATE = 4


class ConvBranch(tf.Module):
    """Two small convolutions to `filter_size`, dropout, two large ones back."""

    def __init__(self, hparams: MultiModelT2THParams) -> None:
        """Creates four ConvSteps, of which the last is dilated."""
        super().__init__(name="conv")
        self._dropout = hparams.dropout
        size, width = hparams.hidden_size, hparams.filter_size
        small, large = hparams.kernel_size, hparams.large_kernel_size
        settings = [
            (size, width, small, 1),
            (width, width, small, 1),
            (width, size, large, 1),
            (size, size, large, _LAST_DILATION_RATE),
        ]
        with self.name_scope:
            self.steps = [
                conv.ConvStep(
                    input_size,
                    output_size,
                    kernel_size=kernel_size,
                    dilation_rate=dilation_rate,
                    name=f"conv_{i}",
                )
                for i, (input_size, output_size, kernel_size, dilation_rate) in (
                    enumerate(settings)
                )
            ]

    def __call__(
        self, x: tf.Tensor, mask: tf.Tensor, rng: randomness.RandomStream | None
    ) -> tf.Tensor:
        """Maps `[batch, length, hidden_size]` to the same shape."""
        for step in self.steps[:2]:
            x = step(x, mask)
        x = randomness.dropout(x, self._dropout, rng)
        for step in self.steps[2:]:
            x = step(x, mask)
        return x


class EncoderLayer(tf.Module):
    """LN(x + dropout(experts(x)) + dropout(convolutions(x)))."""

    def __init__(self, hparams: MultiModelT2THParams, *, name: str) -> None:
        """Creates the two branches and the norm."""
        super().__init__(name=name)
        self._dropout = hparams.dropout
        with self.name_scope:
            self.conv_branch = ConvBranch(hparams)
            self.feed_forward = feed_forward.FeedForward(
                hparams, filter_size=hparams.filter_size, name="feed_forward"
            )
            self.layer_norm = core.LayerNorm(hparams.hidden_size)

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
          mask: `[batch, length]` bool; padding does not reach its neighbours, and what
            is computed for it has no meaning.
          space_id: `[]` int32, the command, for gates that see it.
          rng: None outside training.
        """
        convolved = self.conv_branch(x, mask, rng)
        output = self.feed_forward(x, mask, space_id, rng)
        x += randomness.dropout(output.values, self._dropout, rng)
        x += randomness.dropout(convolved, self._dropout, rng)
        return output._replace(values=self.layer_norm(x))


class AttentionCache(NamedTuple):
    """What attention remembers while decoding.

    Attributes:
      own: keys and values of the target positions so far.
      source: keys and values of the encoder's output, which never change.
      source_bias: `[batch, 1, 1, source_length]`, hides padding.
    """

    own: attention.KeysValues
    source: attention.KeysValues
    source_bias: tf.Tensor


class Attention(tf.Module):
    """LN(x + dropout(y) + dropout(z)): y attends to x, and z from y to the source.

    Unlike in the Transformer, attention to the source asks with y alone, without x.
    """

    def __init__(self, hparams: MultiModelT2THParams) -> None:
        """Creates `8 * hidden_size ** 2` parameters, biases and the norm."""
        super().__init__(name="attention")
        self._attention_dropout = hparams.attention_dropout
        self._dropout = hparams.dropout
        with self.name_scope:
            self.self_attention, self.source_attention = (
                attention.MultiHeadAttention(
                    hparams.hidden_size, hparams.num_heads, use_bias=True, name=kind
                )
                for kind in ("self_attention", "source_attention")
            )
            self.layer_norm = core.LayerNorm(hparams.hidden_size)

    def __call__(
        self, x: tf.Tensor, source: Embedded, rng: randomness.RandomStream | None
    ) -> tf.Tensor:
        """Maps `[batch, length, hidden_size]` to the same shape."""
        y = self.self_attention(
            x,
            self.self_attention.project(x),
            attention.causal_bias(tf.shape(x)[1]),
            dropout=self._attention_dropout,
            rng=rng,
        )
        z = self.source_attention(
            y,
            self.source_attention.project(source.values),
            attention.padding_bias(source.mask),
            dropout=self._attention_dropout,
            rng=rng,
        )
        x += randomness.dropout(y, self._dropout, rng)
        x += randomness.dropout(z, self._dropout, rng)
        return self.layer_norm(x)

    def init_cache(self, source: Embedded, max_length: int) -> AttentionCache:
        """Projects the source and makes room for `max_length` target positions."""
        batch, dtype = tf.shape(source.values)[0], source.values.dtype
        return AttentionCache(
            self.self_attention.init_cache(batch, max_length, dtype),
            self.source_attention.project(source.values),
            attention.padding_bias(source.mask),
        )

    def step(
        self, x: tf.Tensor, cache: AttentionCache, position: tf.Tensor
    ) -> tuple[tf.Tensor, AttentionCache]:
        """Computes one new position `[batch, hidden_size]`."""
        y, own = self.self_attention.step(x, cache.own, position)
        z = self.source_attention(y[:, None], cache.source, cache.source_bias)
        return self.layer_norm(x + y + z[:, 0]), cache._replace(own=own)


class DecoderLayer(tf.Module):
    """Attention, then LN(x + dropout(feed_forward(x)))."""

    def __init__(
        self, hparams: MultiModelT2THParams, *, has_experts: bool, name: str
    ) -> None:
        """Creates attention, net and norm.

        Args:
          hparams: sizes.
          has_experts: whether the layer is one of `moe_layers`.
          name: scope of the variables.
        """
        super().__init__(name=name)
        self._dropout = hparams.dropout
        with self.name_scope:
            self.attention = Attention(hparams)
            self.feed_forward: tf.Module = (
                feed_forward.FeedForward(hparams, name="feed_forward")
                if has_experts
                else feed_forward.DenseReluDense(
                    hparams.hidden_size, hparams.filter_size, dropout=hparams.dropout
                )
            )
            self.layer_norm = core.LayerNorm(hparams.hidden_size)

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
        x = self.attention(targets.values, source, rng)
        return self._feed_forward(x, targets.mask, space_id, rng)

    def _feed_forward(
        self,
        x: tf.Tensor,
        mask: tf.Tensor,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> moe.MoeOutput:
        output = self.feed_forward(x, mask, space_id, rng)
        x += randomness.dropout(output.values, self._dropout, rng)
        return output._replace(values=self.layer_norm(x))

    def step(
        self,
        x: tf.Tensor,
        cache: AttentionCache,
        space_id: tf.Tensor,
        position: tf.Tensor,
    ) -> tuple[tf.Tensor, AttentionCache]:
        """Computes one new position `[batch, hidden_size]`; cache of `attention`."""
        x, cache = self.attention.step(x, cache, position)
        mask = tf.ones([tf.shape(x)[0], 1], tf.bool)
        output = self._feed_forward(x[:, None], mask, space_id, None)
        return output.values[:, 0], cache
