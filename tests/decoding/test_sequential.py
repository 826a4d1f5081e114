import numpy as np
import tensorflow as tf

from t2t_mm.decoding import sequential
from t2t_mm.features import EOS_ID


def _search(choices, *, max_length, vocab_size=7):
    """Searches where row b prefers `choices[b, t]` at position t; counts the steps."""
    choices = tf.constant(choices)
    positions_seen = []

    def step(ids, state, position):
        positions_seen.append(int(position))
        # The state is what has been chosen: it must come back as it was returned.
        state = tf.concat([state[:, 1:], ids[:, None]], 1)
        logits = tf.one_hot(choices[:, positions_seen[-1]], vocab_size)
        return logits, state

    rows = choices.shape[0]
    found = sequential.extend(
        step,
        tf.zeros([rows, 3], tf.int32),
        choose=sequential.best,
        is_filler=tf.zeros([rows], tf.bool),
        max_lengths=tf.fill([rows], max_length),
    )
    return found.ids.numpy(), positions_seen


def test_every_position_gets_its_best_id():
    choices = [[3, 5, 2, 6, 1], [2, 2, 4, 3, 1]]

    ids, _ = _search(choices, max_length=5)

    np.testing.assert_array_equal(ids, choices)


def test_after_the_end_come_zeros_and_then_it_stops():
    ids, positions_seen = _search(
        [[3, EOS_ID, 2, 6, 5, 4], [2, 4, 3, EOS_ID, 6, 2]], max_length=6
    )

    np.testing.assert_array_equal(ids, [[3, 1, 0, 0, 0, 0], [2, 4, 3, 1, 0, 0]])
    assert positions_seen == [0, 1, 2, 3]


def test_the_largest_length_is_an_end():
    ids, positions_seen = _search([[3, 5, 2, 6]], max_length=3)

    np.testing.assert_array_equal(ids, [[3, 5, 2]])
    assert positions_seen == [0, 1, 2]


def test_every_row_has_its_own_largest_length():
    def step(ids, state, position):
        return tf.one_hot([3, 4, 5], 7), state

    found = sequential.extend(
        step,
        tf.zeros([3]),
        choose=sequential.best,
        is_filler=tf.zeros([3], tf.bool),
        max_lengths=tf.constant([1, 3, 2]),
    )

    np.testing.assert_array_equal(found.ids, [[3, 0, 0], [4, 4, 4], [5, 5, 0]])
    np.testing.assert_array_equal(found.scores, [1, 3, 2])


def test_steps_get_the_ids_and_the_state_of_the_step_before():
    given = []

    def step(ids, state, position):
        given.append((ids.numpy().tolist(), state["count"].numpy().tolist()))
        return tf.one_hot([2 + position, 3], 9), {"count": state["count"] + 1}

    sequential.extend(
        step,
        {"count": tf.constant(10)},
        choose=sequential.best,
        is_filler=tf.zeros([2], tf.bool),
        max_lengths=tf.constant([3, 3]),
    )

    assert given == [([0, 0], 10), ([2, 3], 11), ([3, 3], 12)]


def test_filler_rows_stay_empty_and_nobody_waits_for_them():
    calls = []

    def step(ids, state, position):
        tf.py_function(lambda p: calls.append(int(p)), [position], [])
        # Row 0 ends at once; row 1, a filler, never would.
        return tf.constant([[0.0, 9.0, 0.0], [0.0, 0.0, 9.0]]), state

    found = sequential.extend(
        step,
        tf.zeros([2]),
        choose=sequential.best,
        is_filler=tf.constant([False, True]),
        max_lengths=tf.constant([6, 6]),
    )

    np.testing.assert_array_equal(found.ids, [[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    assert calls == [0]
