"""Blocks of MultiModel's body: convolutions, attention, experts.

Every block has `__call__` for whole sequences and, where the decoder uses it, `step`
for one new position; both compute the same numbers.
"""

from typing import NamedTuple

import tensorflow as tf

from t2t_mm.layers import attention, conv, core, moe, randomness, timing
from t2t_mm.models import feed_forward
from t2t_mm.models.multimodel_hparams import MultiModelHParams

_PREMIX_KERNEL_SIZE = 5
_PREMIX_DILATION_RATES = (1, 4)


class ConvBlock(tf.Module):
    """Four ConvSteps with two skips from the block's input (section 2.2).

    h1 = step0(x), h2 = x + step1(h1), h3 = step2(h2), out = dropout(x + step3(h3)).
    """

    def __init__(self, hparams: MultiModelHParams, *, causal: bool, name: str) -> None:
        """Creates `4 d^2 + 36 d + 8 d` parameters with the paper's kernels."""
        super().__init__(name=name)
        self._dropout = hparams.dropout
        with self.name_scope:
            self.steps = [
                conv.ConvStep(
                    hparams.hidden_size,
                    hparams.hidden_size,
                    kernel_size=kernel_size,
                    dilation_rate=dilation_rate,
                    causal=causal,
                    name=f"conv_{i}",
                )
                for i, (kernel_size, dilation_rate) in enumerate(
                    zip(hparams.kernel_sizes, hparams.dilation_rates, strict=True)
                )
            ]

    def __call__(
        self,
        x: tf.Tensor,
        mask: tf.Tensor | None,
        rng: randomness.RandomStream | None,
    ) -> tf.Tensor:
        """Maps `[batch, length, hidden_size]` to the same shape."""
        h = x + self.steps[1](self.steps[0](x, mask), mask)
        h = x + self.steps[3](self.steps[2](h, mask), mask)
        return randomness.dropout(h, self._dropout, rng)

    def init_cache(self, batch: tf.Tensor, dtype: tf.DType) -> list[tf.Tensor]:
        """Returns the past inputs of the four steps, all zero."""
        return [step.init_cache(batch, dtype) for step in self.steps]

    def step(
        self, x: tf.Tensor, cache: list[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Computes one new position `[batch, hidden_size]` of a causal block."""
        h, cache_0 = self.steps[0].step(x, cache[0])
        h, cache_1 = self.steps[1].step(h, cache[1])
        h, cache_2 = self.steps[2].step(x + h, cache[2])
        h, cache_3 = self.steps[3].step(h, cache[3])
        return x + h, [cache_0, cache_1, cache_2, cache_3]


class Source(NamedTuple):
    """What the decoder attends to.

    Attributes:
      values: `[batch, source_length, hidden_size]`, the encoder's output.
      bias: `[batch, 1, 1, source_length]`, hides padding.
    """

    values: tf.Tensor
    bias: tf.Tensor


class AttentionCache(NamedTuple):
    """What one attention block remembers while decoding.

    Attributes:
      premix: past inputs of the two convolution steps.
      own: keys and values of the target positions so far.
      source: keys and values of the encoder's output, which never change.
      source_bias: `[batch, 1, 1, source_length]`, hides padding.
    """

    premix: list[tf.Tensor]
    own: attention.KeysValues
    source: attention.KeysValues
    source_bias: tf.Tensor


class AttentionBlock(tf.Module):
    """Self-attention of the mixed target, then attention to the source (section 2.3).

    q = self_attention(conv(conv(target + timing))), out = LN(target + attend(q,
    source)). The paper is silent on the residual and the norm, which are those of the
    first release.
    """

    def __init__(self, hparams: MultiModelHParams, *, name: str) -> None:
        """Creates `10 d^2 + 14 d + 2 d` parameters."""
        super().__init__(name=name)
        size = hparams.hidden_size
        self._dropout = hparams.attention_dropout
        self._query_residual = hparams.attention_query_residual
        with self.name_scope:
            self.premix = [
                conv.ConvStep(
                    size,
                    size,
                    kernel_size=_PREMIX_KERNEL_SIZE,
                    dilation_rate=dilation_rate,
                    causal=True,
                    name=f"premix_{i}",
                )
                for i, dilation_rate in enumerate(_PREMIX_DILATION_RATES)
            ]
            self.self_attention, self.source_attention = (
                attention.MultiHeadAttention(size, hparams.num_heads, name=kind)
                for kind in ("self_attention", "source_attention")
            )
            self.layer_norm = core.LayerNorm(size)

    def __call__(
        self,
        target: tf.Tensor,
        source: Source,
        rng: randomness.RandomStream | None,
    ) -> tf.Tensor:
        """Attends from `target` `[batch, length, hidden_size]`; same shape out."""
        mixed = timing.add_timing_signal(target)
        mixed = self.premix[1](self.premix[0](mixed))
        attended = self.self_attention(
            mixed,
            self.self_attention.project(mixed),
            attention.causal_bias(tf.shape(mixed)[1]),
            dropout=self._dropout,
            rng=rng,
        )
        attended = self.source_attention(
            mixed + attended if self._query_residual else attended,
            self.source_attention.project(source.values),
            source.bias,
            dropout=self._dropout,
            rng=rng,
        )
        return self.layer_norm(target + attended)

    def init_cache(self, source: Source, max_length: int) -> AttentionCache:
        """Projects the source and makes room for `max_length` target positions."""
        batch, dtype = tf.shape(source.values)[0], source.values.dtype
        return AttentionCache(
            [step.init_cache(batch, dtype) for step in self.premix],
            self.self_attention.init_cache(batch, max_length, dtype),
            self.source_attention.project(source.values),
            source.bias,
        )

    def step(
        self, target: tf.Tensor, cache: AttentionCache, position: tf.Tensor
    ) -> tuple[tf.Tensor, AttentionCache]:
        """Computes one new position `[batch, hidden_size]`."""
        signal = timing.timing_signal(position[None], target.shape[1])
        mixed = target + tf.cast(signal, target.dtype)
        mixed, premix_0 = self.premix[0].step(mixed, cache.premix[0])
        mixed, premix_1 = self.premix[1].step(mixed, cache.premix[1])
        attended, own = self.self_attention.step(mixed, cache.own, position)
        if self._query_residual:
            attended = mixed + attended
        attended = self.source_attention(
            attended[:, None], cache.source, cache.source_bias
        )[:, 0]
        cache = cache._replace(premix=[premix_0, premix_1], own=own)
        return self.layer_norm(target + attended), cache


class ExpertBlock(tf.Module):
    """LN(x + experts(x)), a layer of its own (section 2.4)."""

    def __init__(self, hparams: MultiModelHParams, *, name: str) -> None:
        """Creates gates, experts and a norm."""
        super().__init__(name=name)
        with self.name_scope:
            self.feed_forward = feed_forward.FeedForward(hparams, name="feed_forward")
            self.layer_norm = core.LayerNorm(hparams.hidden_size)

    def __call__(
        self,
        x: tf.Tensor,
        mask: tf.Tensor,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> moe.MoeOutput:
        """Maps `[batch, length, hidden_size]` to the same shape."""
        output = self.feed_forward(x, mask, space_id, rng)
        return output._replace(values=self.layer_norm(x + output.values))
