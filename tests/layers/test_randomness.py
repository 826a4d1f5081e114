import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.layers import randomness

RATES = (0.1, 0.4)


def _stream(first, second):
    return randomness.RandomStream(tf.constant([first, second], tf.int32))


def test_a_stream_repeats_for_the_same_seed():
    first, second = _stream(3, 5), _stream(3, 5)

    for _ in range(4):
        np.testing.assert_array_equal(first.next_seed(), second.next_seed())


def test_no_two_seeds_of_a_stream_are_equal():
    stream = _stream(3, 5)

    seeds = {tuple(stream.next_seed().numpy().tolist()) for _ in range(100)}

    assert len(seeds) == 100


@pytest.mark.parametrize("other", [(3, 6), (4, 5), (5, 3)])
def test_streams_of_different_seeds_differ(other):
    assert _stream(3, 5).next_seed().numpy().tolist() != (
        _stream(*other).next_seed().numpy().tolist()
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_numbers_are_uniform_and_repeat(jit_compile):
    @tf.function(jit_compile=jit_compile)
    def draw(seed):
        return randomness.uniform([100, 333], randomness.RandomStream(seed))

    first, again, other = (draw(tf.constant([3, n])).numpy() for n in (4, 4, 5))

    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.99
    assert 0.0 <= first.min() < first.max() < 1.0
    shares = np.histogram(first, 10, (0.0, 1.0))[0] / first.size
    np.testing.assert_allclose(shares, 0.1, atol=0.006)


def test_without_a_stream_nothing_is_dropped():
    x = tf.constant([[1.0, -2.0, 3.0]])

    assert randomness.dropout(x, 0.9, None) is x


def test_a_rate_of_zero_drops_nothing():
    x = tf.constant([[1.0, -2.0, 3.0]])

    np.testing.assert_array_equal(randomness.dropout(x, 0.0, _stream(1, 2)), x)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("rate", RATES)
def test_dropout_zeroes_at_its_rate_and_scales_the_rest(rate, dtype):
    x = tf.fill([200, 1000], tf.cast(3.0, dtype))

    dropped = randomness.dropout(x, rate, _stream(1, 2))

    values = tf.cast(dropped, tf.float32).numpy()
    assert dropped.dtype == dtype
    assert np.mean(values == 0.0) == pytest.approx(rate, abs=0.003)
    kept = values[values != 0.0]
    np.testing.assert_allclose(kept, 3.0 / (1.0 - rate), rtol=4e-3)


def test_dropout_draws_anew_at_every_call():
    x = tf.ones([7, 30])
    stream = _stream(1, 2)

    first, second = (randomness.dropout(x, 0.5, stream).numpy() for _ in range(2))

    assert (first != second).any()


def test_dropped_elements_have_no_gradient_and_the_others_the_scale():
    x = tf.Variable(tf.ones([5, 40]))

    with tf.GradientTape() as tape:
        y = randomness.dropout(x, 0.5, _stream(1, 2))
    gradient = tape.gradient(y, x)

    np.testing.assert_array_equal(gradient, y)


def test_normal_numbers_have_the_moments_and_tails_of_the_distribution():
    rng = randomness.RandomStream(tf.constant([3, 4], tf.int32))

    x = randomness.normal(tf.constant([1001, 333]), rng).numpy()

    assert x.shape == (1001, 333)
    moments = [(x**power).mean() for power in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0.0, 1.0, 0.0, 3.0], atol=0.05)
    # Of a normal distribution 68.27 % and 99.73 % lie within 1 and 3 deviations.
    within = [(np.abs(x) < deviations).mean() for deviations in (1, 3)]
    np.testing.assert_allclose(within, [0.6827, 0.9973], atol=0.002)


def test_normal_numbers_are_as_good_as_independent():
    rng = randomness.RandomStream(tf.constant([3, 4], tf.int32))

    x = randomness.normal(tf.constant([400, 300]), rng).numpy()
    again = randomness.normal(tf.constant([400, 300]), rng).numpy()

    for other in (np.roll(x, 1, 0), np.roll(x, 1, 1), np.roll(x.ravel(), x.size // 2)):
        assert abs(np.mean(x.ravel() * other.ravel())) < 0.01
    assert abs(np.mean(x * again)) < 0.01
