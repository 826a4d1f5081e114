import functools

import numpy as np
import tensorflow as tf

import tiny_models
from t2t_mm.decoding import greedy
from t2t_mm.features import EOS_ID


def _search(choices, *, max_length, vocab_size=7, prompts=None):
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
    ids = greedy.greedy_search(
        step,
        tf.zeros([rows, 3], tf.int32),
        is_filler=tf.zeros([rows], tf.bool),
        max_length=tf.constant(max_length),
        prompts=prompts,
    )
    return ids.numpy(), positions_seen


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


def test_rows_start_with_their_prompts():
    ids, positions_seen = _search(
        [[3, EOS_ID, 2, 6, 5], [2, 4, 3, EOS_ID, 6], [5, 4, EOS_ID, 2, 2]],
        max_length=5,
        prompts=tf.constant([[6, 5, 4], [6, 0, 0], [0, 0, 0]]),
    )

    np.testing.assert_array_equal(
        ids, [[6, 5, 4, 6, 5], [6, 4, 3, EOS_ID, 0], [5, 4, EOS_ID, 0, 0]]
    )
    assert positions_seen == [0, 1, 2, 3, 4]


def test_steps_get_the_ids_and_the_state_of_the_step_before():
    given = []

    def step(ids, state, position):
        given.append((ids.numpy().tolist(), state["count"].numpy().tolist()))
        return tf.one_hot([2 + position, 3], 9), {"count": state["count"] + 1}

    greedy.greedy_search(
        step,
        {"count": tf.constant(10)},
        is_filler=tf.zeros([2], tf.bool),
        max_length=tf.constant(3),
    )

    assert given == [([0, 0], 10), ([2, 3], 11), ([3, 3], 12)]


def _plain_search(model, features, max_length):
    """The whole forward pass once for every position."""
    outputs = np.zeros([len(features["inputs"]), max_length], np.int32)
    ended = np.zeros(len(outputs), bool)
    for position in range(max_length):
        targets = {
            "targets": tf.constant(outputs[:, : position + 1]),
            "targets_length": tf.fill([len(outputs)], position + 1),
        }
        logits = model(features | targets, problem="text_to_text").outputs.numpy()
        outputs[~ended, position] = logits[~ended, position].argmax(-1)
        ended |= outputs[:, position] == EOS_ID
    return outputs


def test_search_equals_a_plain_loop_over_whole_sequences():
    model = tiny_models.make_model(num_encoder_blocks=1, num_decoder_blocks=1)
    tiny_models.perturb(model, deviation=0.3)
    batch = tiny_models.make_batch("text_to_text", input_lengths=(9, 6, 3))
    features = model.prepare(batch, "text_to_text")
    features = {k: v for k, v in features.items() if not k.startswith("targets")}
    # The third id of the first row shall be the end.
    third = _plain_search(model, features, 3)[0, 2]
    (softmax,) = (v for v in model.variables if v.name.endswith("softmax:0"))
    rows = tf.gather(softmax, [third, EOS_ID])
    softmax.scatter_nd_update([[EOS_ID], [third]], rows)

    encoded = model.encode(features, problem="text_to_text").embedded
    found = greedy.greedy_search(
        functools.partial(model.decode_step, problem="text_to_text"),
        model.init_state(encoded, features["target_space_id"], max_length=8),
        is_filler=tf.zeros([3], tf.bool),
        max_length=tf.constant(8),
    ).numpy()

    np.testing.assert_array_equal(found, _plain_search(model, features, 8))
    assert EOS_ID in found[0, :3]
    assert len({tuple(row) for row in found}) > 1


def test_filler_rows_stay_empty_and_nobody_waits_for_them():
    calls = []

    def step(ids, state, position):
        tf.py_function(lambda p: calls.append(int(p)), [position], [])
        # Row 0 ends at once; row 1, a filler, never would.
        return tf.constant([[0.0, 9.0, 0.0], [0.0, 0.0, 9.0]]), state

    ids = greedy.greedy_search(
        step,
        tf.zeros([2]),
        is_filler=tf.constant([False, True]),
        max_length=tf.constant(6),
    )

    np.testing.assert_array_equal(ids, [[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    assert calls == [0]
