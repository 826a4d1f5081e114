import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.layers import cache, compilation


@pytest.mark.parametrize("has_slice_operator", [True, False])
@pytest.mark.parametrize("for_xla", [False, True])
@pytest.mark.parametrize("axis", [1, 2])
def test_a_position_is_written_and_the_others_stay(
    axis, for_xla, has_slice_operator, monkeypatch
):
    if not has_slice_operator:
        monkeypatch.setattr(cache, "xla", None)
    old = np.random.default_rng(0).normal(size=[2, 5, 4, 3]).astype(np.float32)
    new = np.ones_like(old).take([0], axis)
    expected = old.copy()
    expected[(slice(None),) * axis + (2,)] = 1.0
    kept = tf.constant(old)

    @tf.function(jit_compile=for_xla or None, autograph=False)
    def write(index):
        with compilation.tracing_for_xla(for_xla):
            return cache.write(kept, tf.constant(new), index, axis=axis)

    np.testing.assert_array_equal(write(tf.constant(2)), expected)
    np.testing.assert_array_equal(kept, old)


LENGTH, SIZE, STEPS = 5, 2, 9
DISTANCES = [4, 2, 0]


def _seen(history, position):
    """What lies `DISTANCES` before a position of `[rows, positions, size]`."""
    places = [position - distance for distance in DISTANCES]
    none = np.zeros_like(history[:, 0])
    return np.stack([history[:, p] if p >= 0 else none for p in places], 1)


def test_a_ring_gives_back_what_its_rows_wrote():
    written = np.random.default_rng(0).normal(size=[3, STEPS, SIZE]).astype(np.float32)
    ring = tf.zeros([3, LENGTH, SIZE])

    for position in range(STEPS):
        ring = cache.write_ring(ring, written[:, position], tf.constant(position))
        read = cache.read_ring(ring, tf.constant(position), DISTANCES)
        np.testing.assert_array_equal(read, _seen(written, position))


@pytest.mark.parametrize("for_xla", [False, True])
def test_rows_that_change_places_keep_their_past_and_the_ring_stays(for_xla):
    """The past of every row is kept by hand and brought into order at every step."""
    random = np.random.default_rng(1)
    ring, writers = tf.zeros([4, LENGTH, SIZE]), tf.zeros([4, STEPS], tf.int32)
    past = np.zeros([4, STEPS, SIZE], np.float32)

    @tf.function(jit_compile=for_xla or None, autograph=False)
    def step(ring, writers, new, position):
        lineage = cache.Lineage(writers)
        with compilation.tracing_for_xla(for_xla), cache.following(lineage):
            assert cache.has_lineage()
            ring = cache.write_ring(ring, new, position)
            assert lineage.covers(ring) and not lineage.covers(writers)
            return ring, cache.read_ring(ring, position, DISTANCES)

    for position in range(STEPS):
        new = random.normal(size=[4, SIZE]).astype(np.float32)
        here = tf.range(STEPS) == position
        writers = tf.where(here, tf.range(4)[:, None], writers)
        past[:, position] = new
        ring, read = step(ring, writers, tf.constant(new), tf.constant(position))

        np.testing.assert_array_equal(read, _seen(past, position))
        np.testing.assert_array_equal(ring[:, position % LENGTH], new)
        parents = random.integers(0, 4, 4)
        writers, past = tf.gather(writers, parents), past[parents]
    assert not cache.has_lineage()
