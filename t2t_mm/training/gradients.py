"""Gradients: what a step sums, scales and hands to the optimizer."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf


class Gradient(NamedTuple):
    """The gradient of one variable.

    Attributes:
      values: of the variable's shape.
      rows: `[count]` int32, which rows the batch names, some perhaps several times;
        None for all of them. The values of all others are 0.
    """

    values: tf.Tensor
    rows: tf.Tensor | None = None


def from_tape(gradient: tf.Tensor | tf.IndexedSlices | None) -> Gradient | None:
    """Returns what a tape computed; None stays None."""
    if gradient is None or isinstance(gradient, Gradient):
        return gradient
    values = tf.convert_to_tensor(gradient)
    if isinstance(gradient, tf.IndexedSlices):
        return Gradient(values, tf.cast(gradient.indices, tf.int32))
    return Gradient(values)


def scale(
    gradients: Sequence[Gradient | None], factor: tf.Tensor
) -> list[Gradient | None]:
    """Multiplies every gradient by `factor` `[]`."""
    return [
        None if g is None else Gradient(g.values * factor, g.rows) for g in gradients
    ]


def add(
    ones: Sequence[Gradient | None], others: Sequence[Gradient | None]
) -> list[Gradient | None]:
    """Adds gradients of the same variables; None counts as 0."""
    return [_add(one, other) for one, other in zip(ones, others, strict=True)]


def _add(one: Gradient | None, other: Gradient | None) -> Gradient | None:
    if one is None or other is None:
        return one or other
    if one.rows is None or other.rows is None:
        return Gradient(one.values + other.values)
    return Gradient(one.values + other.values, tf.concat([one.rows, other.rows], 0))


def global_norm(gradients: Sequence[Gradient | None]) -> tf.Tensor:
    """Returns the root of the sum of all squares, `[]` float32."""
    # Not `tf.linalg.global_norm`: it pins its operations to those of the gradients, so
    # that TensorFlow does not see that `norms.Modules` asks for the same squares.
    squares = [tf.nn.l2_loss(g.values) for g in gradients if g is not None]
    # Nor `tf.add_n`, whose terms TensorFlow sorts by name: replicas would add in orders
    # of their own and drift apart.
    return tf.sqrt(2.0 * tf.reduce_sum(tf.stack(squares)))


def clip_by_global_norm(
    gradients: Sequence[Gradient | None], largest: float
) -> tuple[list[Gradient | None], tf.Tensor]:
    """Scales gradients so that their global norm is at most `largest`.

    Args:
      gradients: of any shapes; None is passed on.
      largest: 0 for no clipping.

    Returns:
      The gradients and their global norm before clipping, `[]` float32.
    """
    norm = global_norm(gradients)
    if largest == 0.0:
        return list(gradients), norm
    values = [g.values for g in gradients if g is not None]
    # Steps that need no clipping are spared a pass over all gradients, which is 5 % of
    # the processor time of a step of `multimodel_t2t`.
    clipped = iter(
        tf.cond(
            norm > largest,
            lambda: [value * (largest / norm) for value in values],
            lambda: [tf.identity(value) for value in values],
        )
    )
    return [
        None if g is None else g._replace(values=next(clipped)) for g in gradients
    ], norm
