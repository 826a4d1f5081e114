import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.layers import dispatch


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_dispatch_gives_rows_in_order_of_position():
    experts = tf.constant([[0, 2], [2, 0], [2, 1], [0, 2]])
    mask = tf.constant([True, True, False, True])

    plan = dispatch.plan_dispatch(experts, mask, 3, tf.constant(2))

    # Pairs 0..7; expert 0 wants 0, 3, 6 and expert 2 wants 1, 2, 7: two rows each.
    np.testing.assert_array_equal(plan.has_slot, [[1, 1], [1, 1], [0, 0], [0, 0]])
    np.testing.assert_array_equal(plan.slots[:2], [[0, 4], [5, 1]])
    np.testing.assert_array_equal(plan.is_filled, [1, 1, 0, 0, 1, 1])
    np.testing.assert_array_equal(plan.pairs.numpy()[[0, 1, 4, 5]], [0, 3, 1, 2])


def _dense_mixture(x, gates, experts, scales, kept):
    """What one scale per expert makes of each position, kept pairs only."""
    weights = gates * kept * scales[experts]
    return weights.sum(1, keepdims=True) * x


@pytest.mark.parametrize("capacity", [1, 2, 9])
def test_there_and_back_is_the_weighted_sum_of_kept_pairs(capacity):
    x, gates = _random(9, 4), np.abs(_random(9, 2, seed=1))
    experts = np.stack([np.arange(9) % 3, (np.arange(9) + 1) % 3], 1).astype(np.int32)
    mask, scales = np.arange(9) != 4, np.array([2.0, -3.0, 0.5], np.float32)
    rank = np.zeros([9, 2], int)
    seen = {0: 0, 1: 0, 2: 0}
    for position, choice in np.ndindex(9, 2):
        rank[position, choice] = seen[experts[position, choice]]
        seen[experts[position, choice]] += mask[position]
    kept = (rank < capacity) & mask[:, None]

    plan = dispatch.plan_dispatch(
        tf.constant(experts), tf.constant(mask), 3, tf.constant(capacity)
    )
    with tf.GradientTape() as tape:
        values, weights = tf.constant(x), tf.constant(gates)
        tape.watch([values, weights])
        tables = dispatch.to_tables(values, plan)
        scaled = tables * np.repeat(scales, capacity)[:, None]
        y = dispatch.from_tables(scaled, weights, plan)
    of_x, of_gates = tape.gradient(
        y, [values, weights], tf.constant(_random(9, 4, seed=2))
    )

    np.testing.assert_array_equal(plan.has_slot, kept)
    expected = _dense_mixture(x, gates, experts, scales, kept)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    dy = _random(9, 4, seed=2)
    np.testing.assert_allclose(
        of_x, _dense_mixture(dy, gates, experts, scales, kept), atol=1e-5
    )
    expected = (dy * x).sum(1, keepdims=True) * scales[experts] * kept
    np.testing.assert_allclose(of_gates, expected, atol=1e-5)


def test_blocks_give_every_expert_as_many_as_it_needs():
    experts = tf.constant([[0], [2], [2], [0], [2], [2]])
    mask = tf.constant([True, True, True, True, False, True])

    plan, expert_of_block = dispatch.plan_blocks(experts, mask, 3, 2)

    # Expert 0 has pairs 0 and 3 in one block, expert 2 has 1, 2 and 5 in two.
    np.testing.assert_array_equal(expert_of_block.numpy()[:3], [0, 2, 2])
    np.testing.assert_array_equal(plan.slots[:4, 0], [0, 2, 3, 1])
    assert plan.slots[5, 0] == 4
    np.testing.assert_array_equal(plan.has_slot[:, 0], [1, 1, 1, 1, 0, 1])
    np.testing.assert_array_equal(plan.is_filled[:6], [1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(plan.pairs[:5], [0, 3, 1, 2, 5])
    assert not plan.is_filled[6:].numpy().any()


@pytest.mark.parametrize("block_size", [1, 4, 16])
@pytest.mark.parametrize("num_experts", [1, 3, 7])
def test_blocks_hold_every_real_pair_whoever_is_chosen(block_size, num_experts):
    random = np.random.default_rng(num_experts)
    for crowded in (False, True):
        experts = random.integers(0, 1 if crowded else num_experts, [9, 2])
        mask = random.random(9) < 0.7
        x = _random(9, 4)

        plan, expert_of_block = dispatch.plan_blocks(
            tf.constant(experts, tf.int32), tf.constant(mask), num_experts, block_size
        )
        tables = dispatch.to_tables(tf.constant(x), plan).numpy()

        expected = np.repeat(mask[:, None], 2, 1)
        np.testing.assert_array_equal(plan.has_slot, expected)
        assert plan.is_filled.numpy().sum() == expected.sum()
        for position, choice in np.argwhere(expected):
            slot = plan.slots.numpy()[position, choice]
            assert expert_of_block[slot // block_size] == experts[position, choice]
            np.testing.assert_array_equal(tables[slot], x[position])
