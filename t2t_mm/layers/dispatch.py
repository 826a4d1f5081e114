"""Brings positions to their experts and the answers back, in time that E leaves alone.

Dispatch sorts the (position, choice) pairs by expert and gives each expert a table of
`capacity` rows: all shapes are static, nothing loops over experts, nothing is as large
as positions times experts. Both directions are gathers, and so are their gradients.
"""

from typing import NamedTuple

import tensorflow as tf


class Dispatch(NamedTuple):
    """Where each (position, choice) pair lies in the experts' tables, and back.

    Attributes:
      slots: `[positions, k]` int32, row of each pair in the joined tables; 0 if it has
        none.
      has_slot: `[positions, k]` float32, 1 for pairs that have a row, 0 for the others.
      pairs: `[num_experts * capacity]` int32, pair of each row; 0 if the row is empty.
      is_filled: `[num_experts * capacity]` float32, 1 for rows that hold a pair.
    """

    slots: tf.Tensor
    has_slot: tf.Tensor
    pairs: tf.Tensor
    is_filled: tf.Tensor


def plan_dispatch(
    experts: tf.Tensor, mask: tf.Tensor, num_experts: int, capacity: tf.Tensor
) -> Dispatch:
    """Gives every pair a row in its expert's table, first come first served.

    Order is that of the positions, so that within a sequence only earlier positions
    can take a row away from a later one: dropping stays causal.

    Args:
      experts: `[positions, k]` int32.
      mask: `[positions]` bool; padding gets no row.
      num_experts: number of tables.
      capacity: `[]` int32, rows per table; pairs beyond it are dropped.
    """
    positions, k = tf.shape(experts)[0], experts.shape[1]
    num_pairs = positions * k
    # Padding sorts behind all experts.
    ids = tf.reshape(tf.where(mask[:, None], experts, num_experts), [-1])
    index = tf.range(num_pairs)
    order = tf.argsort(ids * num_pairs + index)  # unique keys: stable by construction
    counts = tf.math.unsorted_segment_sum(tf.ones_like(ids), ids, num_experts + 1)
    starts = tf.cumsum(counts, exclusive=True)
    rank = tf.math.invert_permutation(order) - tf.gather(starts, ids)
    has_slot = (rank < capacity) & (ids < num_experts)
    slots = tf.where(has_slot, ids * capacity + rank, 0)
    # Row r of expert e holds the pair that is r-th among those sorted to e.
    rows = tf.range(capacity)[None]  # [1, capacity]
    is_filled = rows < counts[:num_experts, None]
    sorted_at = tf.where(is_filled, starts[:num_experts, None] + rows, 0)
    pairs = tf.where(is_filled, tf.gather(order, sorted_at), 0)
    return Dispatch(
        tf.reshape(slots, [-1, k]),
        tf.reshape(tf.cast(has_slot, tf.float32), [-1, k]),
        tf.reshape(pairs, [-1]),
        tf.reshape(tf.cast(is_filled, tf.float32), [-1]),
    )


def to_tables(x: tf.Tensor, plan: Dispatch) -> tf.Tensor:
    """Fills the experts' tables; an empty row has any position's values.

    Nothing may come of an empty row: `from_tables` does not read it and gives it no
    gradient.

    Args:
      x: `[positions, hidden_size]`.
      plan: where each position goes.

    Returns:
      `[num_experts * capacity, hidden_size]`.
    """
    k = plan.slots.shape[1]

    @tf.custom_gradient
    def gather(values: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradient(dy: tf.Tensor) -> tf.Tensor:
            ones = tf.cast(plan.has_slot, dy.dtype)
            return _weighted_rows(dy, plan.slots, ones)

        return tf.gather(values, plan.pairs // k), gradient

    return gather(x)


def from_tables(tables: tf.Tensor, gates: tf.Tensor, plan: Dispatch) -> tf.Tensor:
    """Returns the gate-weighted sum of what the experts made of each position.

    Args:
      tables: `[num_experts * capacity, hidden_size]`.
      gates: `[positions, k]`, of the dtype of `tables`.
      plan: where each position went; pairs without a row add nothing.

    Returns:
      `[positions, hidden_size]`.
    """
    k = plan.slots.shape[1]

    @tf.custom_gradient
    def combine(rows: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, object]:
        kept = weights * tf.cast(plan.has_slot, weights.dtype)

        def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_row = tf.gather(tf.reshape(kept, [-1]), plan.pairs)
            of_row *= tf.cast(plan.is_filled, of_row.dtype)
            dy_of_row = tf.gather(dy, plan.pairs // k)
            # Products are taken in the tables, which costs no second gather of rows.
            products = tf.reduce_sum(dy_of_row * rows, 1)
            dweights = tf.gather(products, plan.slots)
            has_slot = tf.cast(plan.has_slot, dy.dtype)
            return dy_of_row * of_row[:, None], dweights * has_slot

        return _weighted_rows(rows, plan.slots, kept), gradient

    return combine(tables, gates)


def _weighted_rows(rows: tf.Tensor, index: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sums over j the rows `index[:, j]` times `weights[:, j]`, one j at a time."""
    terms = [
        tf.gather(rows, index[:, j]) * weights[:, j : j + 1]
        for j in range(index.shape[1])
    ]
    return terms[0] if len(terms) == 1 else tf.add_n(terms)
