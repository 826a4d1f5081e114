"""Experts where few are chosen, or for few positions: without a table for each.

A step of decoding has as many positions as there are rows in the search, 16 or 64, and
reading the weights of all experts takes longer than anything else then. So the chosen
experts run one after the other, each on all positions: with 30 experts of width 2048,
of which 16 positions chose two, that takes 0.3 ms in place of 4 on two CPU cores.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from t2t_mm.layers import casting, compilation, routing

# Under XLA an expert's weights are copied first, which costs as much as the product.
_XLA_COST = 2


def gates_of_experts(gating: routing.Gating, num_experts: int) -> tf.Tensor:
    """Returns the gate of every expert for every position, 0 if it is not chosen.

    Returns:
      `[num_experts, positions]` float32.
    """
    chosen = tf.one_hot(gating.experts, num_experts, axis=0)  # [experts, positions, k]
    return tf.reduce_sum(chosen * gating.gates, -1)


class UsedExperts(NamedTuple):
    """All experts, and what is to run through some of them.

    Attributes:
      rows: `[positions, hidden_size]`.
      gates: `[num_experts, positions]`, of the dtype of `rows`.
      kernels: `[num_experts, hidden_size, width]` and
        `[num_experts, filter_size, hidden_size]`.
      activate: what comes between them.
    """

    rows: tf.Tensor
    gates: tf.Tensor
    kernels: tuple[tf.Variable, tf.Variable]
    activate: Callable[[tf.Tensor], tf.Tensor]

    def are_few(self, rows_of_table: tf.Tensor) -> tf.Tensor:
        """Returns whether running the chosen experts alone is less work, `[]` bool.

        Args:
          rows_of_table: `[]` int32, rows that each of all experts has otherwise.
        """
        cost = self._count() * tf.shape(self.rows)[0]
        factor = _XLA_COST if compilation.is_for_xla() else 1
        return factor * cost < rows_of_table * self.gates.shape[0]

    def run(self) -> tf.Tensor:
        """Returns the weighted sum of the chosen, `[positions, hidden_size]`."""
        dtype = self.rows.dtype
        kernels = [casting.cast_before_loop(k, dtype) for k in self.kernels]
        # The chosen in front, in their order.
        order = tf.argsort(tf.cast(~self._is_used(), tf.int32), stable=True)
        count = self._count()

        def add(turn: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            expert = tf.gather(order, turn)
            one, other = (tf.cast(tf.gather(k, expert), dtype) for k in kernels)
            outputs = tf.matmul(self.activate(tf.matmul(self.rows, one)), other)
            return turn + 1, total + outputs * tf.gather(self.gates, expert)[:, None]

        start = (tf.constant(0), tf.zeros_like(self.rows))
        return tf.while_loop(lambda turn, _: turn < count, add, start)[1]

    def run_all(self) -> tf.Tensor:
        """Returns the same from all experts, for XLA.

        XLA would copy an expert's weights for every table of rows that it gives it.
        """
        dtype = self.rows.dtype
        first, second = (casting.cast_weights(k, dtype) for k in self.kernels)
        num_experts, filter_size, hidden_size = second.shape
        shape = tf.concat([[num_experts], tf.shape(self.rows)], 0)
        tables = tf.broadcast_to(self.rows[None], shape)
        hidden = self.activate(tf.matmul(tables, first)) * self.gates[:, :, None]
        # [experts, positions, filter] -> [positions, experts * filter]: one product
        # takes the sum.
        joined = tf.reshape(
            tf.transpose(hidden, [1, 0, 2]), [-1, num_experts * filter_size]
        )
        return tf.matmul(joined, tf.reshape(second, [-1, hidden_size]))

    def _is_used(self) -> tf.Tensor:
        return tf.reduce_any(self.gates > 0, 1)

    def _count(self) -> tf.Tensor:
        return tf.reduce_sum(tf.cast(self._is_used(), tf.int32))
