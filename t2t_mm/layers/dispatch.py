"""Brings positions to their experts and the answers back, in time that E leaves alone.

Dispatch sorts the (position, choice) pairs by expert and gives each expert a table of
`capacity` rows, or, where shapes must be static and nothing may be dropped, as many
blocks of rows as it needs. Nothing loops over experts, nothing is as large as positions
times experts. Both directions are gathers, and so are their gradients.
"""

from typing import NamedTuple

import tensorflow as tf

from t2t_mm.layers import custom_gradient


class Dispatch(NamedTuple):
    """Where each (position, choice) pair lies in the experts' tables, and back.

    Attributes:
      slots: `[positions, k]` int32, row of each pair in the joined tables; 0 if it has
        none.
      has_slot: `[positions, k]` float32, 1 for pairs that have a row, 0 for the others.
      pairs: `[rows]` int32, pair of each row; 0 if the row is empty.
      is_filled: `[rows]` float32, 1 for rows that hold a pair.
    """

    slots: tf.Tensor
    has_slot: tf.Tensor
    pairs: tf.Tensor
    is_filled: tf.Tensor


class _Order(NamedTuple):
    """The pairs, sorted by expert and within an expert by position.

    Attributes:
      ids: `[pairs]` int32, expert of each pair; `num_experts` for padding.
      order: `[pairs]` int32, the pairs in order; padding last.
      rank: `[pairs]` int32, how many pairs of the same expert come before.
      counts: `[num_experts]` int32, pairs of each expert.
      starts: `[num_experts]` int32, where the pairs of each expert start in `order`.
    """

    ids: tf.Tensor
    order: tf.Tensor
    rank: tf.Tensor
    counts: tf.Tensor
    starts: tf.Tensor


def _sort(experts: tf.Tensor, mask: tf.Tensor, num_experts: int) -> _Order:
    num_pairs = tf.size(experts)
    # Padding sorts behind all experts.
    ids = tf.reshape(tf.where(mask[:, None], experts, num_experts), [-1])
    # Unique keys: stable by construction.
    order = tf.argsort(ids * num_pairs + tf.range(num_pairs))
    counts = tf.math.unsorted_segment_sum(tf.ones_like(ids), ids, num_experts + 1)
    starts = tf.cumsum(counts, exclusive=True)
    rank = tf.math.invert_permutation(order) - tf.gather(starts, ids)
    return _Order(ids, order, rank, counts[:-1], starts[:-1])


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
    pairs = _sort(experts, mask, num_experts)
    has_slot = (pairs.rank < capacity) & (pairs.ids < num_experts)
    rows = tf.range(capacity)[None]  # of a table, [1, capacity]
    return _make_plan(
        experts,
        pairs.order,
        slots=pairs.ids * capacity + pairs.rank,
        has_slot=has_slot,
        is_filled=rows < pairs.counts[:, None],
        sorted_at=pairs.starts[:, None] + rows,
    )


def plan_blocks(
    experts: tf.Tensor, mask: tf.Tensor, num_experts: int, block_size: int
) -> tuple[Dispatch, tf.Tensor]:
    """Gives every expert as many blocks of rows as its pairs need; drops nothing.

    The number of blocks depends on the shapes alone: `pairs / block_size` full ones and
    one more for each expert are always enough.

    Args:
      experts: `[positions, k]` int32, of static shape.
      mask: `[positions]` bool; padding gets no row.
      num_experts: number of experts.
      block_size: rows per block.

    Returns:
      The plan, and the expert of each block, `[blocks]` int32.
    """
    pairs = _sort(experts, mask, num_experts)
    num_blocks = -(-experts.shape.num_elements() // block_size) + num_experts
    ends = tf.cumsum(-(-pairs.counts // block_size))  # in blocks
    firsts = tf.concat([[0], ends[:-1]], 0)
    expert_of_block = tf.minimum(
        tf.searchsorted(ends, tf.range(num_blocks), side="right"), num_experts - 1
    )
    block = tf.range(num_blocks)[:, None] - tf.gather(firsts, expert_of_block)[:, None]
    rank = block * block_size + tf.range(block_size)[None]  # [blocks, block_size]
    is_real = pairs.ids < num_experts
    ids = tf.where(is_real, pairs.ids, 0)
    plan = _make_plan(
        experts,
        pairs.order,
        slots=tf.gather(firsts, ids) * block_size + pairs.rank,
        has_slot=is_real,
        is_filled=rank < tf.gather(pairs.counts, expert_of_block)[:, None],
        sorted_at=tf.gather(pairs.starts, expert_of_block)[:, None] + rank,
    )
    return plan, expert_of_block


def _make_plan(
    experts: tf.Tensor,
    order: tf.Tensor,
    *,
    slots: tf.Tensor,
    has_slot: tf.Tensor,
    is_filled: tf.Tensor,
    sorted_at: tf.Tensor,
) -> Dispatch:
    """Joins the two directions; whatever has no counterpart points to 0."""
    held = tf.gather(order, tf.where(is_filled, sorted_at, 0))
    shape = tf.shape(experts)
    return Dispatch(
        tf.reshape(tf.where(has_slot, slots, 0), shape),
        tf.reshape(tf.cast(has_slot, tf.float32), shape),
        tf.reshape(tf.where(is_filled, held, 0), [-1]),
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
      `[rows, hidden_size]`, the tables one after the other.
    """
    k = plan.slots.shape[1]

    @custom_gradient.custom_gradient
    def gather(values: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradient(dy: tf.Tensor) -> tf.Tensor:
            ones = tf.cast(plan.has_slot, dy.dtype)
            return _weighted_rows(dy, plan.slots, ones)

        return tf.gather(values, plan.pairs // k), gradient

    return gather(x)


def from_tables(tables: tf.Tensor, gates: tf.Tensor, plan: Dispatch) -> tf.Tensor:
    """Returns the gate-weighted sum of what the experts made of each position.

    Args:
      tables: `[rows, hidden_size]`.
      gates: `[positions, k]`, of the dtype of `tables`.
      plan: where each position went; pairs without a row add nothing.

    Returns:
      `[positions, hidden_size]`.
    """
    k = plan.slots.shape[1]

    @custom_gradient.custom_gradient
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


def take(kernels: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Gathers kernels, some more than once, with a gradient as dense as they are."""

    @custom_gradient.custom_gradient
    def take(values: tf.Tensor) -> tuple[tf.Tensor, object]:
        def gradient(dy: tf.Tensor) -> tf.Tensor:
            return tf.math.unsorted_segment_sum(dy, index, values.shape[0])

        return tf.gather(values, index), gradient

    return take(kernels)
