"""Blocks of MultiModel's body in which no attention takes part.

Every block has `__call__` for whole sequences and, where the decoder uses it, `step`
for one new position; both compute the same numbers.
"""

import tensorflow as tf

from t2t_mm.layers import conv, core, moe, randomness
from t2t_mm.models import feed_forward
from t2t_mm.models.multimodel_hparams import MultiModelHParams


class ConvBlock(tf.Module):
    """ConvSteps with two skips (section 2.2).

    h1 = step0(x), h2 = x + step1(h1), h3 = step2(h2), out = dropout(x + step3(h3)).
    """

    def __init__(self, hparams: MultiModelHParams, *, causal: bool, name: str) -> None:
        """Creates `4 d^2 + 36 d + 8 d` parameters with the paper's kernels."""
        super().__init__(name=name)
        self._dropout = hparams.dropout if hparams.dropout_position == "block" else 0.0
        self._second_skip = hparams.second_skip
        sizes = zip(
            hparams.kernel_sizes,
            hparams.dilation_rates,
            hparams.separabilities,
            strict=True,
        )
        with self.name_scope:
            self.steps = [
                conv.ConvStep(
                    hparams.hidden_size,
                    hparams.hidden_size,
                    kernel_size=kernel_size,
                    dilation_rate=dilation_rate,
                    causal=causal,
                    separability=separability,
                    name=f"conv_{i}",
                )
                for i, (kernel_size, dilation_rate, separability) in enumerate(sizes)
            ]

    def __call__(
        self,
        x: tf.Tensor,
        mask: tf.Tensor | None,
        rng: randomness.RandomStream | None,
    ) -> tf.Tensor:
        """Maps `[batch, length, hidden_size]` to the same shape."""
        hidden2 = x + self.steps[1](self.steps[0](x, mask), mask)
        h = hidden2
        for step in self.steps[2:]:
            h = step(h, mask)
        return randomness.dropout(self._skip(x, hidden2, h), self._dropout, rng)

    def _skip(self, x: tf.Tensor, hidden2: tf.Tensor, h: tf.Tensor) -> tf.Tensor:
        if self._second_skip == "none":
            return h
        return h + (x if self._second_skip == "input" else hidden2)

    def init_cache(self, batch: tf.Tensor, dtype: tf.DType) -> list[tf.Tensor]:
        """Returns the past inputs of the steps, all zero."""
        return [step.init_cache(batch, dtype) for step in self.steps]

    def step(
        self, x: tf.Tensor, cache: list[tf.Tensor], position: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Computes one new position `[batch, hidden_size]` of a causal block."""
        h = hidden2 = x
        caches = []
        for i, (step, past) in enumerate(zip(self.steps, cache, strict=True)):
            h, past = step.step(h, past, position)
            caches.append(past)
            if i == 1:
                h = hidden2 = x + h
        return self._skip(x, hidden2, h), caches


class ExpertBlock(tf.Module):
    """LN(x + experts(x)), or x + experts(LN(x)), a layer of its own (section 2.4)."""

    def __init__(self, hparams: MultiModelHParams, *, name: str) -> None:
        """Creates gates, experts and a norm."""
        super().__init__(name=name)
        self._is_pre_norm = hparams.norm_position == "pre"
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
        if self._is_pre_norm:
            output = self.feed_forward(self.layer_norm(x), mask, space_id, rng)
            return output._replace(values=x + output.values)
        output = self.feed_forward(x, mask, space_id, rng)
        return output._replace(values=self.layer_norm(x + output.values))
