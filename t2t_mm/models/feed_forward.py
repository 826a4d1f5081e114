"""Layers in which positions do not see each other: experts, or one dense net."""

import tensorflow as tf

from t2t_mm.features import NUM_SPACES
from t2t_mm.layers import core, feed_forward, moe, randomness
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
        self._is_dense = hparams.feed_forward == "dense"
        with self.name_scope:
            if self._is_dense:
                active = hparams.moe_k + hparams.moe_num_shared_experts
                self.net: tf.Module = feed_forward.DenseFeedForward(
                    size,
                    active * width,
                    activation=hparams.moe_activation,
                    autoscale=hparams.moe_autoscale,
                    name="dense",
                )
            else:
                sees_command = hparams.moe_router_input == "token+task"
                self.net = moe.MixtureOfExperts(
                    size,
                    width,
                    num_experts=hparams.moe_num_experts,
                    k=hparams.moe_k,
                    capacity_factor=hparams.moe_capacity_factor,
                    activation=hparams.moe_activation,
                    autoscale=hparams.moe_autoscale,
                    num_shared_experts=hparams.moe_num_shared_experts,
                    router=hparams.moe_router,
                    num_commands=NUM_SPACES if sees_command else 0,
                    balance=hparams.moe_balance,
                    loss_coef=hparams.moe_loss_coef,
                    bias_rate=hparams.moe_bias_rate,
                    z_loss_coef=hparams.moe_router_z_loss,
                    route_padding=hparams.moe_route_padding,
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
        if self._is_dense:
            return moe.MoeOutput(self.net(x), tf.zeros([]), None)
        return self.net(x, mask, space_id, rng)


class DenseReluDense(tf.Module):
    """max(0, x W_1 + b_1) W_2 + b_2 (Vaswani et al. 2017, equation 2)."""

    def __init__(self, hidden_size: int, filter_size: int, *, dropout: float) -> None:
        """Creates two kernels and their biases.

        Args:
          hidden_size: depth of inputs and outputs.
          filter_size: depth between the two layers.
          dropout: probability of zeroing a unit between them.
        """
        super().__init__(name="dense_relu_dense")
        self._dropout = dropout
        with self.name_scope:
            self.hidden = core.Dense(hidden_size, filter_size, name="hidden")
            self.output = core.Dense(filter_size, hidden_size, name="output")

    def __call__(
        self,
        x: tf.Tensor,
        mask: tf.Tensor,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> moe.MoeOutput:
        """Maps `[batch, length, hidden_size]` to the same shape; there is no loss.

        The arguments are those of `FeedForward`, of which only `x` and `rng` matter.
        """
        del mask, space_id
        hidden = randomness.dropout(tf.nn.relu(self.hidden(x)), self._dropout, rng)
        return moe.MoeOutput(self.output(hidden), tf.constant(0.0), None)
