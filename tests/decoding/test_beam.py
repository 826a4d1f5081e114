import numpy as np
import pytest
import reference_search
import tensorflow as tf

from t2t_mm.decoding import beam, steps
from t2t_mm.features import EOS_ID
from t2t_mm.layers import cache as caches


def _search(step, *, batch=1, state=None, max_lengths=None, length=3, **options):
    options = {"beam_size": 2, "alpha": 0.0, "stop_early": False} | options
    found = beam.search(
        step,
        tf.zeros([batch]) if state is None else state,
        is_filler=tf.zeros([batch], tf.bool),
        max_lengths=tf.fill([batch], length) if max_lengths is None else max_lengths,
        **options,
    )
    return found.ids.numpy(), found.scores.numpy()


def _by_position(probabilities):
    """A step with probabilities `[position, rows, vocab]`, whatever the ids."""
    scores = tf.math.log(tf.constant(probabilities, tf.float32))
    scores = tf.maximum(scores, steps.FORBIDDEN)
    return lambda ids, state, position: (scores[position], state)


# Cases of Tensor2Tensor's own tests; they leave out the 0 that all begin with there.
FIRST = [
    [[0.1, 0.1, 0.8], [0.1, 0.1, 0.8]],
    [[0.4, 0.5, 0.1], [0.2, 0.4, 0.4]],
    [[0.05, 0.9, 0.05], [0.4, 0.4, 0.2]],
]
TWO_INPUTS = [[*rows, *rows] for rows in FIRST]
TWO_INPUTS[1] = [*FIRST[1], [0.3, 0.6, 0.1], FIRST[1][1]]


def test_one_beam_keeps_what_has_ended():
    step = _by_position([[[0.7, 0.3]], [[0.4, 0.6]], [[0.5, 0.5]]])

    ids, scores = _search(step, beam_size=1)

    np.testing.assert_array_equal(ids[0, 0, :2], [0, 1])
    np.testing.assert_allclose(np.exp(scores), [[0.42]], rtol=1e-5)


def test_the_best_of_two_beams():
    ids, scores = _search(_by_position(FIRST), stop_early=True)

    np.testing.assert_array_equal(ids[0, 0, :2], [2, 1])
    np.testing.assert_allclose(np.exp(scores[0, 0]), 0.40, rtol=1e-5)


def test_all_of_two_beams():
    ids, scores = _search(_by_position(FIRST))

    np.testing.assert_array_equal(ids, [[[2, 1, 0], [2, 0, 1]]])
    np.testing.assert_allclose(np.exp(scores), [[0.40, 0.288]], rtol=1e-5)


def test_a_large_alpha_prefers_longer_sequences():
    ids, scores = _search(_by_position(FIRST), alpha=3.5)

    np.testing.assert_array_equal(ids, [[[2, 0, 1], [2, 1, 0]]])
    expected = [np.log(0.288) / (8 / 6) ** 3.5, np.log(0.4) / (7 / 6) ** 3.5]
    np.testing.assert_allclose(scores, [expected], rtol=1e-5)


def test_inputs_of_a_batch_have_nothing_to_do_with_each_other():
    ids, scores = _search(_by_position(TWO_INPUTS), batch=2, alpha=3.5)

    np.testing.assert_array_equal(ids[0], [[2, 0, 1], [2, 1, 0]])
    np.testing.assert_array_equal(ids[1], [[2, 1, 0], [2, 0, 1]])
    expected = [np.log(0.48) / (7 / 6) ** 3.5, np.log(0.216) / (8 / 6) ** 3.5]
    np.testing.assert_allclose(scores[1], expected, rtol=1e-5)


# Others.


def _markov(vocab_size, seed, sharpness):
    """Scores of the next id by the one before and the position, `[8, vocab, vocab]`."""
    random = np.random.default_rng(seed)
    logits = tf.constant(random.normal(size=[8, vocab_size, vocab_size]), tf.float32)
    return tf.nn.log_softmax(sharpness * logits)


@pytest.mark.parametrize(("alpha", "stop_early"), [(0.0, False), (0.6, True), (2, 0)])
@pytest.mark.parametrize("beam_size", [1, 3, 5])
def test_results_are_those_of_a_plain_search(beam_size, alpha, stop_early):
    found = []
    for seed in range(4):
        table = _markov(5, seed, 1.5)

        def step(ids, state, position, table=table):
            return tf.gather(table[position], ids), state

        def next_scores(prefixes, table=table):
            return [table[len(p), p[-1] if p else 0].numpy() for p in prefixes]

        ids, scores = _search(
            step, length=7, beam_size=beam_size, alpha=alpha, stop_early=stop_early
        )

        expected = reference_search.beam(
            next_scores, 7, beam_size=beam_size, alpha=alpha, stop_early=stop_early
        )
        for rank, (expected_ids, expected_score) in enumerate(expected):
            padded = [*expected_ids, *[0] * (7 - len(expected_ids))]
            np.testing.assert_array_equal(ids[0, rank], padded)
            np.testing.assert_allclose(scores[0, rank], expected_score, rtol=1e-4)
        assert (scores[0, len(expected) :] == beam.NO_SCORE).all()
        found.append(tuple(ids[0, 0]))
    assert len(set(found)) > 1


def test_an_end_that_gains_something_is_waited_for():
    table = tf.constant([[-9.0, -0.4, -0.6], [-9.0, 1.2, -3.0], [-9.0, -9.0, -9.0]])

    def step(ids, state, position):
        return tf.repeat(table[position][None], 2, axis=0), state

    options = dict(length=3, alpha=1.0, stop_early=True)
    too_early, _ = _search(step, **options)
    ids, scores = _search(step, end_bonus=1.5, **options)

    assert too_early[0, 0].tolist() == [EOS_ID, 0, 0]
    assert ids[0, 0].tolist() == [2, EOS_ID, 0]
    np.testing.assert_allclose(scores[0, 0], 0.6 / (7 / 6), rtol=1e-5)


def test_it_stops_as_soon_as_nothing_can_get_better():
    calls = []

    def step(ids, state, position):
        calls.append(int(position))
        return tf.math.log([[0.01, 0.9, 0.09]]), state

    _search(step, length=50, beam_size=1, stop_early=True)

    assert calls == [0]


def test_without_an_end_the_results_are_what_is_alive():
    step = _by_position(3 * [2 * [[0.3, 0.0, 0.5, 0.2]]])

    ids, scores = _search(step, alpha=1.0, length=2)

    assert ids.tolist() == [[[2, 2], [0, 2]]] or ids.tolist() == [[[2, 2], [2, 0]]]
    expected = np.log([0.25, 0.15]) / (7 / 6)
    np.testing.assert_allclose(scores, [expected], rtol=1e-5)


def test_states_go_with_their_beams_and_what_is_unchanged_is_not_copied():
    """The state is the ids so far and their score, kept by the step itself."""
    table = _markov(6, 1, 1.0)
    seen = []

    def step(ids, state, position):
        ids_so_far = tf.concat([state["ids"][:, 1:], ids[:, None]], 1)
        seen.append((ids_so_far.numpy(), state["input"]))
        ends_late = tf.where(position < 4, [0.0, -9, 0, 0, 0, 0], [0.0, 9, 0, 0, 0, 0])
        scores = tf.gather(table[position], ids) + ends_late
        return scores, state | {"ids": ids_so_far}

    state = {"ids": tf.zeros([2, 5], tf.int32), "input": tf.constant([7, 8])}
    ids, _ = _search(step, batch=2, state=state, length=5, beam_size=3)

    assert len(seen) == 5
    assert all(given is seen[0][1] for _, given in seen)
    np.testing.assert_array_equal(seen[0][1], [7, 7, 7, 8, 8, 8])
    rows = {tuple(row[1:]) for row in seen[-1][0]}
    ended_last = [tuple(row[:4]) for row in ids.reshape(-1, 5) if row[4] == EOS_ID]
    assert ended_last
    assert rows.issuperset(ended_last)


def test_a_ring_stays_in_place_and_is_read_by_lineage():
    """Beams see the ids that led to them though the ring holds them where they were."""
    length, vocab_size = 8, 6
    shape = [length, vocab_size, vocab_size]
    table = 2 * np.random.default_rng(3).normal(size=shape).astype(np.float32)
    table[:, :, EOS_ID] = -9.0
    table = tf.nn.log_softmax(table)
    seen = []

    def step(ids, state, position):
        so_far = tf.concat([state["ids"][:, 1:], ids[:, None]], 1)
        new = tf.cast(ids[:, None], tf.float32)
        ring = caches.write_ring(state["ring"], new, position)
        read = caches.read_ring(ring, position, range(length - 1, -1, -1))
        seen.append((so_far, read[:, :, 0]))
        return tf.gather(table[position], ids), state | {"ids": so_far, "ring": ring}

    state = {"ids": tf.zeros([2, length], tf.int32), "ring": tf.zeros([2, length, 1])}
    _search(step, batch=2, state=state, length=length, beam_size=3)

    assert len(seen) == length
    for so_far, read in seen:
        np.testing.assert_array_equal(read, so_far)


def test_a_ring_that_a_step_copies_is_an_error():
    def step(ids, state, position):
        ring = caches.write_ring(state, tf.ones([2, 1]), position)
        return tf.zeros([2, 4]), tf.identity(ring)

    with pytest.raises(ValueError, match="1 of 1 are not there"):
        _search(step, state=tf.zeros([1, 3, 1]))


def test_every_input_has_its_own_largest_length():
    step = _by_position(5 * [4 * [[0.3, 0.0, 0.5, 0.2]]])

    ids, _ = _search(step, batch=2, max_lengths=tf.constant([2, 4]))

    assert (ids[0, :, 2:] == 0).all()
    assert (ids[1, 0] == 2).all()


def test_nobody_waits_for_fillers():
    calls = []

    def step(ids, state, position):
        calls.append(int(position))
        return tf.math.log([[0.01, 0.9, 0.09], [0.5, 0.0, 0.5]]), state

    beam.search(
        step,
        tf.zeros([2]),
        is_filler=tf.constant([False, True]),
        max_lengths=tf.constant([9, 9]),
        beam_size=1,
        alpha=0.0,
        stop_early=True,
    )

    assert calls == [0]


def test_forbidden_ids_and_missing_beams_make_no_results():
    step = _by_position([2 * [[0.0, 0.0, 1.0]], 2 * [[0.0, 1.0, 0.0]]])

    ids, scores = _search(step, length=2, alpha=0.6)

    np.testing.assert_array_equal(ids, [[[2, 1], [0, 0]]])
    np.testing.assert_array_equal(scores, [[0.0, beam.NO_SCORE]])


@pytest.mark.parametrize("width", [5, 128, 300, 1000])
def test_the_largest_are_those_of_a_plain_search_and_in_its_order(width):
    random = np.random.default_rng(width)
    values = random.integers(0, 40, [3, width]).astype(np.float32)  # many are equal

    largest, index = beam._largest(tf.constant(values), 4)

    expected = np.argsort(-values, axis=1, kind="stable")[:, :4]
    np.testing.assert_array_equal(index, expected)
    np.testing.assert_array_equal(largest, np.take_along_axis(values, expected, 1))
