"""How MultiModel's targets look at the source: the paper's way and two others.

Each way has `__call__` for whole sequences and `init_cache` and `step` for one position
at a time. `AttentionBlock` puts convolutions before it and a residual around it.
"""

import math
from typing import Any, NamedTuple

import tensorflow as tf

from t2t_mm.layers import attention, conv, core, randomness, timing
from t2t_mm.models.multimodel_blocks import ConvBlock
from t2t_mm.models.multimodel_hparams import MultiModelHParams

_PREMIX_KERNEL_SIZE = 5
_PREMIX_DILATION_RATES = (1, 4)


class Source(NamedTuple):
    """What the decoder attends to.

    Attributes:
      values: `[batch, source_length, hidden_size]`, the encoder's output.
      mask: `[batch, source_length]` bool.
    """

    values: tf.Tensor
    mask: tf.Tensor


class _PaperCache(NamedTuple):
    """Keys and values of target and source; `[batch, 1, 1, source_length]` bias."""

    own: attention.KeysValues
    source: attention.KeysValues
    source_bias: tf.Tensor


class PaperAttention(tf.Module):
    """Self-attention, then attention to the source (section 2.3)."""

    def __init__(self, hparams: MultiModelHParams) -> None:
        """Creates `8 d^2` parameters."""
        super().__init__(name="paper")
        self._dropout = hparams.attention_dropout
        self._query_residual = hparams.attention_query_residual
        with self.name_scope:
            self.self_attention, self.source_attention = (
                attention.MultiHeadAttention(
                    hparams.hidden_size, hparams.num_heads, name=kind
                )
                for kind in ("self_attention", "source_attention")
            )

    def __call__(
        self, mixed: tf.Tensor, source: Source, rng: randomness.RandomStream | None
    ) -> tf.Tensor:
        """Attends from `mixed` `[batch, length, hidden_size]`; same shape out."""
        attended = self.self_attention(
            mixed,
            self.self_attention.project(mixed),
            attention.causal_bias(tf.shape(mixed)[1]),
            dropout=self._dropout,
            rng=rng,
        )
        return self.source_attention(
            mixed + attended if self._query_residual else attended,
            self.source_attention.project(source.values),
            attention.padding_bias(source.mask),
            dropout=self._dropout,
            rng=rng,
        )

    def init_cache(self, source: Source, max_length: int) -> _PaperCache:
        """Projects the source and makes room for `max_length` target positions."""
        batch, dtype = tf.shape(source.values)[0], source.values.dtype
        return _PaperCache(
            self.self_attention.init_cache(batch, max_length, dtype),
            self.source_attention.project(source.values),
            attention.padding_bias(source.mask),
        )

    def step(
        self, mixed: tf.Tensor, cache: _PaperCache, position: tf.Tensor
    ) -> tuple[tf.Tensor, _PaperCache]:
        """Computes one new position `[batch, hidden_size]`."""
        attended, own = self.self_attention.step(mixed, cache.own, position)
        if self._query_residual:
            attended = mixed + attended
        attended = self.source_attention(
            attended[:, None], cache.source, cache.source_bias
        )
        return attended[:, 0], cache._replace(own=own)


class SimpleAttention(tf.Module):
    """Attention to the source as it is, with one head and nothing learned (release)."""

    def __init__(self) -> None:
        """Creates no variables."""
        super().__init__(name="simple")

    def __call__(
        self, mixed: tf.Tensor, source: Source, rng: randomness.RandomStream | None
    ) -> tf.Tensor:
        """Attends from `mixed` `[batch, length, hidden_size]`; same shape out."""
        del rng  # the release drops no weights here
        queries = mixed * (1.0 / math.sqrt(mixed.shape[2]))
        scores = core.matmul_rows(queries, source.values, transpose_b=True)
        bias = attention.padding_bias(source.mask)[:, 0]
        name = self.name_scope.name.rstrip("/")
        weights = attention.attention_weights(scores, bias, name=name)
        return core.matmul_rows(weights, source.values)

    def init_cache(self, source: Source, max_length: int) -> Source:
        """Returns the source: there is nothing else to remember."""
        del max_length
        return source

    def step(
        self, mixed: tf.Tensor, cache: Source, position: tf.Tensor
    ) -> tuple[tf.Tensor, Source]:
        """Computes one new position `[batch, hidden_size]`."""
        del position
        return self(mixed[:, None], cache, None)[:, 0], cache


class SourceMean(tf.Module):
    """The mean of the source, whatever the target: what is left without attention."""

    def __init__(self) -> None:
        """Creates no variables."""
        super().__init__(name="mean")

    def __call__(
        self, mixed: tf.Tensor, source: Source, rng: randomness.RandomStream | None
    ) -> tf.Tensor:
        """Returns the mean at every position of `[batch, length, hidden_size]`."""
        del rng
        return tf.zeros_like(mixed) + self.init_cache(source, 0)[:, None]

    def init_cache(self, source: Source, max_length: int) -> tf.Tensor:
        """Returns the mean of the real positions, `[batch, hidden_size]`."""
        del max_length
        total = tf.reduce_sum(core.apply_mask(source.values, source.mask), 1)
        count = tf.reduce_sum(tf.cast(source.mask, total.dtype), 1, keepdims=True)
        return total / tf.maximum(count, 1)

    def step(
        self, mixed: tf.Tensor, cache: tf.Tensor, position: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the mean `[batch, hidden_size]`."""
        del mixed, position
        return cache, cache


class AttentionCache(NamedTuple):
    """What one attention block remembers while decoding.

    Attributes:
      premix: past inputs of the two convolutions.
      attend: what the kind of attention remembers.
    """

    premix: list[Any]
    attend: Any


class AttentionBlock(tf.Module):
    """Convolutions of target + timing, attention, residual and norm (section 2.3)."""

    def __init__(self, hparams: MultiModelHParams, *, name: str) -> None:
        """Creates `10 d^2 + 14 d + 2 d` parameters in the paper's form."""
        super().__init__(name=name)
        self._timing_channels = hparams.timing_channels
        self._is_pre_norm = hparams.norm_position == "pre"
        with self.name_scope:
            self.premix = _make_premix(hparams)
            self.attend: PaperAttention | SimpleAttention | SourceMean
            if hparams.attention_type == "paper":
                self.attend = PaperAttention(hparams)
            elif hparams.attention_type == "simple":
                self.attend = SimpleAttention()
            else:
                self.attend = SourceMean()
            self.layer_norm = core.LayerNorm(hparams.hidden_size)

    def __call__(
        self,
        target: tf.Tensor,
        source: Source,
        rng: randomness.RandomStream | None,
    ) -> tf.Tensor:
        """Attends from `target` `[batch, length, hidden_size]`; same shape out."""
        mixed = self.layer_norm(target) if self._is_pre_norm else target
        mixed = timing.add_timing_signal(mixed, channels=self._timing_channels)
        for convolution in self.premix:
            mixed = convolution(mixed, None, rng)
        return self._add(target, self.attend(mixed, source, rng))

    def _add(self, target: tf.Tensor, attended: tf.Tensor) -> tf.Tensor:
        if self._is_pre_norm:
            return target + attended
        return self.layer_norm(target + attended)

    def init_cache(self, source: Source, max_length: int) -> AttentionCache:
        """Returns what is known before the first target position."""
        batch, dtype = tf.shape(source.values)[0], source.values.dtype
        return AttentionCache(
            [convolution.init_cache(batch, dtype) for convolution in self.premix],
            self.attend.init_cache(source, max_length),
        )

    def step(
        self, target: tf.Tensor, cache: AttentionCache, position: tf.Tensor
    ) -> tuple[tf.Tensor, AttentionCache]:
        """Computes one new position `[batch, hidden_size]`."""
        mixed = self.layer_norm(target) if self._is_pre_norm else target
        signal = timing.timing_signal(
            position[None], target.shape[1], channels=self._timing_channels
        )
        mixed += tf.cast(signal, target.dtype)
        premix = []
        for convolution, past in zip(self.premix, cache.premix, strict=True):
            mixed, past = convolution.step(mixed, past, position)
            premix.append(past)
        attended, memory = self.attend.step(mixed, cache.attend, position)
        return self._add(target, attended), AttentionCache(premix, memory)


def _make_premix(hparams: MultiModelHParams) -> list[tf.Module]:
    """Makes the causal convolutions that see target and timing, if attention does."""
    if hparams.attention_type == "none":
        return []
    if hparams.attention_premix == "conv_block":
        return [ConvBlock(hparams, causal=True, name=f"premix_{i}") for i in range(2)]
    return [
        conv.ConvStep(
            hparams.hidden_size,
            hparams.hidden_size,
            kernel_size=_PREMIX_KERNEL_SIZE,
            dilation_rate=dilation_rate,
            causal=True,
            separability=hparams.separabilities[i],
            name=f"premix_{i}",
        )
        for i, dilation_rate in enumerate(_PREMIX_DILATION_RATES)
    ]


class DecoderLayer(tf.Module):
    """A block of convolutions, then attention, both with a way around them."""

    def __init__(self, hparams: MultiModelHParams, *, name: str) -> None:
        """Creates the two blocks."""
        super().__init__(name=name)
        self._adds_twice = hparams.norm_position == "release"
        with self.name_scope:
            self.conv_block = ConvBlock(hparams, causal=True, name="conv")
            self.attention = AttentionBlock(hparams, name="attention")

    def __call__(
        self, x: tf.Tensor, source: Source, rng: randomness.RandomStream | None
    ) -> tf.Tensor:
        """Maps `[batch, length, hidden_size]` to the same shape."""
        x = self.conv_block(x, None, rng)
        attended = self.attention(x, source, rng)
        return x + attended if self._adds_twice else attended

    def init_cache(self, source: Source, max_length: int) -> dict[str, Any]:
        """Returns the caches of the two blocks."""
        batch, dtype = tf.shape(source.values)[0], source.values.dtype
        return {
            "conv": self.conv_block.init_cache(batch, dtype),
            "attention": self.attention.init_cache(source, max_length),
        }

    def step(
        self, x: tf.Tensor, cache: dict[str, Any], position: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, Any]]:
        """Computes one new position `[batch, hidden_size]`."""
        x, conv_cache = self.conv_block.step(x, cache["conv"], position)
        attended, attention_cache = self.attention.step(x, cache["attention"], position)
        x = x + attended if self._adds_twice else attended
        return x, {"conv": conv_cache, "attention": attention_cache}
