import functools

import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.decoding import sampling

PROBABILITIES = np.array([0.1, 0.4, 0.05, 0.3, 0.15])
DRAWS = 2000


@functools.cache
def _uniform():
    draw = tf.function(sampling.draw)
    return draw(tf.constant(7), tf.range(DRAWS), tf.constant(3))


def _shares(probabilities=PROBABILITIES, temperature=1.0, keep_top_k=0, keep_top_p=1.0):
    """How often each id is drawn, at the second of three positions."""
    choose = sampling.sampler(
        _uniform(),
        temperature=temperature,
        keep_top_k=keep_top_k,
        keep_top_p=keep_top_p,
    )
    scores = tf.maximum(tf.math.log(tf.constant(probabilities, tf.float32)), -1e9)
    ids = choose(tf.tile(scores[None], [DRAWS, 1]), tf.constant(1))
    assert ids.dtype == tf.int32
    return np.bincount(ids, minlength=5) / DRAWS


def _assert_near(shares, expected):
    expected = np.array(expected)
    assert (shares[expected == 0] == 0).all()
    # Five standard deviations.
    deviation = np.sqrt(expected * (1 - expected) / DRAWS)
    assert (np.abs(shares - expected) <= 5 * deviation).all()


def test_ids_are_drawn_as_often_as_they_are_likely():
    _assert_near(_shares(), PROBABILITIES)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_is_the_root_of_probabilities(temperature):
    roots = PROBABILITIES ** (1 / temperature)

    _assert_near(_shares(temperature=temperature), roots / roots.sum())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (dict(keep_top_k=1), [0, 1, 0, 0, 0]),
        (dict(keep_top_k=3), [0, 0.4, 0, 0.3, 0.15]),
        (dict(keep_top_k=9), PROBABILITIES),  # there are no more than five
        (dict(keep_top_p=0.3), [0, 1, 0, 0, 0]),
        (dict(keep_top_p=0.5), [0, 0.4, 0, 0.3, 0]),  # 0.4 is not enough
        (dict(keep_top_p=0.8), [0, 0.4, 0, 0.3, 0.15]),
        (dict(keep_top_k=2, keep_top_p=0.9), [0, 0.4, 0, 0.3, 0]),
    ],
)
def test_only_the_likeliest_are_drawn(options, expected):
    expected = np.array(expected) / np.sum(expected)

    _assert_near(_shares(**options), expected)


def test_what_is_forbidden_is_never_drawn():
    _assert_near(_shares([0.0, 0.6, 0.0, 0.4, 0.0]), [0, 0.6, 0, 0.4, 0])


def test_a_row_draws_from_the_stream_of_its_number():
    draw = sampling.draw(tf.constant(3), tf.constant([5, 2, 5]), tf.constant(9))
    alone = sampling.draw(tf.constant(3), tf.constant([2]), tf.constant(33))

    np.testing.assert_array_equal(draw[0], draw[2])
    np.testing.assert_array_equal(draw[1], alone[0, :9])
    assert (draw[0] != draw[1]).numpy().all()


def test_another_seed_gives_another_stream():
    streams = [
        sampling.draw(tf.constant(seed), tf.constant([4]), tf.constant(9))
        for seed in (1, 2)
    ]

    assert (streams[0] != streams[1]).numpy().all()
