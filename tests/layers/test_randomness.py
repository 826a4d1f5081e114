import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.layers import randomness

RATES = (0.1, 0.4)


def _stream(first, second):
    return randomness.RandomStream(tf.constant([first, second], tf.int32))


def test_a_stream_repeats_for_the_same_seed():
    first, second = _stream(3, 5), _stream(3, 5)

    for size in (4, 1, 1000):
        np.testing.assert_array_equal(first.uniform([size]), second.uniform([size]))


def test_no_call_of_a_stream_goes_on_into_another():
    stream = _stream(3, 5)

    numbers = np.concatenate([stream.uniform([64]).numpy() for _ in range(200)])

    # Of 12,800 draws among 2^23 numbers about 10 are equal by chance.
    assert len(set(numbers.tolist())) > len(numbers) - 40
    pairs = numbers.reshape([200, 64])
    assert abs(np.corrcoef(pairs[:-1].ravel(), pairs[1:].ravel())[0, 1]) < 0.03


@pytest.mark.parametrize("other", [(3, 6), (4, 5), (5, 3), (-3, 5)])
def test_streams_of_different_seeds_differ(other):
    one, two = (stream.uniform([1000]) for stream in (_stream(3, 5), _stream(*other)))

    assert np.mean(one.numpy() == two.numpy()) < 0.01


def test_a_copy_goes_on_alike():
    stream = _stream(3, 5)
    stream.uniform([2])

    copied = stream.copy()

    np.testing.assert_array_equal(copied.uniform([5]), stream.uniform([5]))
    copied.uniform([5])
    stream.go_on_after(copied)
    np.testing.assert_array_equal(copied.uniform([5]), stream.uniform([5]))


def test_numbers_are_those_of_the_published_generator():
    # Philox 4x32 with 10 rounds (Salmon et al. 2011), written out: a number is the
    # lower 23 bits of a word.
    key = tf.raw_ops.StatelessRandomGetKeyCounter(seed=tf.constant([3, 5])).key
    words = _philox(int(key[0]), counter=1 << 64)

    found = _stream(3, 5).uniform([4])

    expected = [(word & 0x7FFFFF) / 2**23 for word in words]
    np.testing.assert_array_equal(found, np.float32(expected))


def _philox(key, counter):
    """Returns the four words of 32 bits for a key and a counter."""
    low = 2**32 - 1
    words = [counter >> 32 * n & low for n in range(4)]
    keys = [key & low, key >> 32]
    for _ in range(10):
        products = words[0] * 0xD2511F53, words[2] * 0xCD9E8D57
        words = [
            products[1] >> 32 ^ words[1] ^ keys[0],
            products[1] & low,
            products[0] >> 32 ^ words[3] ^ keys[1],
            products[0] & low,
        ]
        keys = [(keys[0] + 0x9E3779B9) & low, (keys[1] + 0xBB67AE85) & low]
    return words


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
