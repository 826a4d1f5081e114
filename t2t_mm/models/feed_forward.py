"""The layer in which positions do not see each other: experts, or one dense net."""

import tensorflow as tf

from t2t_mm.layers import core, moe, randomness
from t2t_mm.models.expert_hparams import ExpertHParams


class FeedForward(tf.Module):
    """Experts, or a dense net that costs a position as much as its experts would."""

    def __init__(
        self,
        hparams: ExpertHParams,
        *,
        filter_size: int | None = None,
        name: str,
    ) -> None:
        """Creates the variables.

        Args:
          hparams: sizes and the choice.
          filter_size: width of an expert; `moe_filter_size` if None.
          name: scope of the variables.
        """
        super().__init__(name=name)
        width = filter_size or hparams.moe_filter_size
        size = hparams.hidden_size
        with self.name_scope:
            if hparams.feed_forward == "dense":
                active = hparams.moe_k + hparams.moe_num_shared_experts
                self.net: tf.Module = DenseFeedForward(size, active * width)
            else:
                self.net = moe.MixtureOfExperts(
                    size,
                    width,
                    num_experts=hparams.moe_num_experts,
                    k=hparams.moe_k,
                    capacity_factor=hparams.moe_capacity_factor,
                    loss_coef=hparams.moe_loss_coef,
                    name="experts",
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
          mask: `[batch, length]` bool; what is computed for padding has no meaning.
          space_id: `[]` int32, the command, for gates that see it.
          rng: None outside training.
        """
        return self.net(x, mask, space_id, rng)


class DenseFeedForward(tf.Module):
    """Two dense layers with a ReLU between, without biases, like one wide expert."""

    def __init__(self, hidden_size: int, filter_size: int) -> None:
        """Creates `2 * hidden_size * filter_size` parameters."""
        super().__init__(name="dense")
        with self.name_scope:
            self.hidden = core.Dense(
                hidden_size, filter_size, use_bias=False, name="hidden"
            )
            self.output = core.Dense(
                filter_size, hidden_size, use_bias=False, name="output"
            )

    def __call__(
        self,
        x: tf.Tensor,
        mask: tf.Tensor,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> moe.MoeOutput:
        """Maps `[batch, length, hidden_size]` to the same shape; there is no loss."""
        del mask, space_id, rng
        values = self.output(tf.nn.relu(self.hidden(x)))
        return moe.MoeOutput(values, tf.constant(0.0), None)
