"""Gradients: what a step sums, scales and hands to the optimizer."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

_SMALL = 2**16  # numbers of a gradient that is scaled sooner than asked about


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


def half_squares(values: Sequence[tf.Tensor | None]) -> list[tf.Tensor | None]:
    """Returns half the sum of squares of each tensor, `[]` float32; None stays None."""
    return [None if value is None else tf.nn.l2_loss(value) for value in values]


def global_norm(half_squares: Sequence[tf.Tensor | None]) -> tf.Tensor:
    """Returns the root of the sum of all squares, `[]` float32.

    Args:
      half_squares: from the function of that name; None counts as 0.
    """
    given = [half for half in half_squares if half is not None]
    # Not `tf.add_n`, whose terms TensorFlow sorts by name: replicas would add in orders
    # of their own and drift apart.
    return tf.sqrt(2.0 * tf.reduce_sum(tf.stack(given)))


def clip(
    gradients: Sequence[Gradient | None], norm: tf.Tensor, largest: float
) -> list[Gradient | None]:
    """Scales gradients so that their global norm is at most `largest`.

    Args:
      gradients: of any shapes; None is passed on.
      norm: their global norm.
      largest: 0 for no clipping.
    """
    if largest == 0.0:
        return list(gradients)
    factor = tf.where(norm > largest, largest / norm, 1.0)
    # Steps that need no clipping are spared a pass over all large gradients, which is 5
    # % of the processor time of a step of `multimodel_t2t`. The small ones are most of
    # them, and what goes through a branch costs time when a run starts.
    is_large = [g is not None and _is_large(g.values) for g in gradients]
    large = [
        g.values
        for g, large in zip(gradients, is_large, strict=True)
        if g is not None and large
    ]
    scaled = iter(
        tf.cond(
            norm > largest,
            lambda: [values * factor for values in large],
            lambda: [tf.identity(values) for values in large],
        )
        if large
        else ()
    )
    return [
        None
        if g is None
        else g._replace(values=next(scaled) if large else g.values * factor)
        for g, large in zip(gradients, is_large, strict=True)
    ]


def _is_large(values: tf.Tensor) -> bool:
    size = values.shape.num_elements()
    return size is None or size > _SMALL
