"""Self-attention that knows distances (Shaw et al. 2018, arXiv 1803.02155)."""

import tensorflow as tf

from t2t_mm.layers import attention, initializers


class RelativeSelfAttention(attention.MultiHeadAttention):
    """Self-attention with a learned key and a learned value for every distance.

    Distances beyond the window share the vectors of its ends. All heads share the
    vectors.
    """

    def __init__(
        self, hidden_size: int, num_heads: int, *, window: int, name: str
    ) -> None:
        """Creates two tables `[2 * window + 1, depth]` besides the projections.

        Args:
          hidden_size: depth of inputs and outputs.
          num_heads: number of heads, each with `depth = hidden_size // num_heads`.
          window: largest distance that is told apart from longer ones.
          name: scope of the variables.

        Raises:
          ValueError: if `hidden_size` is not a multiple of `num_heads`.
        """
        super().__init__(hidden_size, num_heads, name=name)
        self._window = window
        shape = (2 * window + 1, hidden_size // num_heads)
        with self.name_scope:
            self.relative_keys, self.relative_values = (
                initializers.make_variable(
                    part, shape, initializers.glorot_uniform(*shape)
                )
                for part in ("relative_keys", "relative_values")
            )

    def _scores(
        self, queries: tf.Tensor, keys: tf.Tensor, position: tf.Tensor | int
    ) -> tf.Tensor:
        """Adds the products with the keys of the distances (equation 4)."""
        of_distances = self._look_up(self.relative_keys, queries, keys, position)
        # [batch, heads, length, depth] x [length, memory_length, depth]
        relative = tf.einsum("bhqd,qmd->bhqm", queries, of_distances)
        return super()._scores(queries, keys, position) + relative

    def _mix(
        self, weights: tf.Tensor, values: tf.Tensor, position: tf.Tensor | int
    ) -> tf.Tensor:
        """Adds the weighted values of the distances (equation 3)."""
        of_distances = self._look_up(self.relative_values, weights, values, position)
        # [batch, heads, length, memory_length] x [length, memory_length, depth]
        relative = tf.einsum("bhqm,qmd->bhqd", weights, of_distances)
        return super()._mix(weights, values, position) + relative

    def _look_up(
        self,
        table: tf.Tensor,
        queries: tf.Tensor,
        memory: tf.Tensor,
        position: tf.Tensor | int,
    ) -> tf.Tensor:
        """Returns `[length, memory_length, depth]`, a row of `table` for each pair."""
        from_positions = position + tf.range(tf.shape(queries)[2])
        to_positions = tf.range(tf.shape(memory)[2])
        distances = to_positions[None] - from_positions[:, None]
        clipped = tf.clip_by_value(distances, -self._window, self._window)
        return tf.gather(tf.cast(table, memory.dtype), clipped + self._window)
