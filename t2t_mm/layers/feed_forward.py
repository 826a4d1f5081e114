"""Two-layer nets that see one position at a time; the unit of a mixture of experts."""

import math

import tensorflow as tf

from t2t_mm.layers import core

ACTIVATIONS = ("relu", "swiglu")


def hidden_width(activation: str, filter_size: int) -> int:
    """Returns how many columns the first matrix has: SwiGLU has a gate for each."""
    return 2 * filter_size if activation == "swiglu" else filter_size


def activate(hidden: tf.Tensor, activation: str) -> tf.Tensor:
    """Applies the non-linearity between the two layers.

    Args:
      hidden: `[..., hidden_width]`, what the first matrix returns.
      activation: "relu", or "swiglu" (Shazeer 2020): half of the columns, through a
        sigmoid-weighted unit, gate the other half.

    Returns:
      `[..., filter_size]`.
    """
    if activation == "relu":
        return tf.nn.relu(hidden)
    gate, values = tf.split(hidden, 2, axis=-1)
    return tf.nn.silu(gate) * values


def output_scale(hidden_size: int, filter_size: int, *, autoscale: bool) -> float:
    """Returns the factor after the second matrix, (filter / hidden)^-1/2 or 1."""
    return math.sqrt(hidden_size / filter_size) if autoscale else 1.0


class DenseFeedForward(tf.Module):
    """One net for all positions, without biases, like one wide expert."""

    def __init__(
        self,
        hidden_size: int,
        filter_size: int,
        *,
        activation: str = "relu",
        autoscale: bool = False,
        name: str,
    ) -> None:
        """Creates `2 * hidden_size * filter_size` parameters, half more for SwiGLU."""
        super().__init__(name=name)
        self._activation = activation
        self._scale = output_scale(hidden_size, filter_size, autoscale=autoscale)
        with self.name_scope:
            self.hidden = core.Dense(
                hidden_size,
                hidden_width(activation, filter_size),
                use_bias=False,
                name="hidden",
            )
            self.output = core.Dense(
                filter_size, hidden_size, use_bias=False, name="output"
            )

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Maps `[..., hidden_size]` to the same shape."""
        return self.output(activate(self.hidden(x), self._activation)) * self._scale
