import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.layers import randomness, spectrogram_augmentation

FRAMES, BINS, CHANNELS = 23, 11, 2
LENGTHS = np.array([23, 14, 1, 0])


def _rng(seed=1):
    return randomness.RandomStream(tf.constant([seed, 7], tf.int32))


def _spectrograms(lengths=LENGTHS, frames=FRAMES):
    random = np.random.default_rng(0)
    shape = [len(lengths), frames, BINS, CHANNELS]
    mask = np.arange(frames) < np.asarray(lengths)[:, None]
    x = random.normal(size=shape) * mask[..., None, None]
    return tf.constant(x, tf.float32), tf.constant(lengths, tf.int32)


def _factors(count, most, seed=1):
    """The factors that a warp draws, from the same numbers."""
    return 1 + most * (2 * randomness.uniform([count], _rng(seed)).numpy() - 1)


def _ramps(frames, lengths):
    """Spectrograms whose numbers are the number of their frame."""
    x = np.zeros([len(lengths), frames, BINS, 1], np.float32)
    for row, length in enumerate(lengths):
        x[row, :length] = np.arange(length)[:, None, None]
    return tf.constant(x)


def test_a_warp_of_time_reads_between_frames():
    x, lengths = _spectrograms()

    warped, warped_lengths = spectrogram_augmentation.warp_time(x, lengths, 0.3, _rng())

    assert warped.shape == (4, 30, BINS, CHANNELS)  # 23 * 1.3 = 29.9
    factors = _factors(4, 0.3)
    np.testing.assert_array_equal(warped_lengths, np.ceil(LENGTHS * factors))
    for row, length in enumerate(LENGTHS):
        for frame in range(30):
            expected = np.zeros([BINS, CHANNELS])
            if frame < warped_lengths[row]:
                position = min(frame / factors[row], length - 1)
                low = int(position)
                high = min(low + 1, length - 1)
                share = position - low
                expected = (1 - share) * x[row, low] + share * x[row, high]
            np.testing.assert_allclose(warped[row, frame], expected, atol=1e-5)


def test_sounds_last_longer_and_shorter_alike():
    lengths = np.full(2000, 100)
    x = tf.zeros([2000, 100, 1, 1])

    _, warped = spectrogram_augmentation.warp_time(x, tf.constant(lengths), 0.2, _rng())

    changes = warped.numpy() / 100
    assert changes.min() == pytest.approx(0.8, abs=0.02)
    assert changes.max() == pytest.approx(1.2, abs=0.02)
    shares = np.histogram(changes, 4, (0.8, 1.2))[0] / 2000
    np.testing.assert_allclose(shares, 0.25, atol=0.04)


def test_a_warp_of_frequency_scales_bins_and_keeps_the_last():
    x, _ = _spectrograms()

    warped = spectrogram_augmentation.warp_frequency(x, 0.4, _rng())

    last = BINS - 1
    for row, factor in enumerate(_factors(4, 0.4)):
        knee = 0.8 * last * min(1, factor)  # where the map bends
        to = np.array([0, knee, last])
        positions = np.interp(np.arange(BINS), to, [0, knee / factor, last])
        for channel in range(CHANNELS):
            for frame in (0, 9):
                expected = np.interp(
                    positions, np.arange(BINS), x[row, frame, :, channel]
                )
                np.testing.assert_allclose(
                    warped[row, frame, :, channel], expected, atol=1e-5
                )


def test_a_larger_factor_makes_frequencies_higher():
    bins = 100
    peak = np.zeros([50, 1, bins, 1], np.float32)
    peak[:, :, 30] = 1.0

    warped = spectrogram_augmentation.warp_frequency(tf.constant(peak), 0.3, _rng())

    expected = 30 * _factors(50, 0.3)
    np.testing.assert_allclose(warped[:, 0, :, 0].numpy().argmax(1), expected, atol=1)


@pytest.mark.parametrize(("count", "share"), [(1, 0.5), (3, 0.2)])
def test_masks_of_time_are_stretches_of_data(count, share):
    lengths = np.tile([40, 25, 3, 0], 100)
    x = tf.ones([400, 40, BINS, CHANNELS])

    masked = spectrogram_augmentation.mask_time(
        x, tf.constant(lengths, tf.int32), count, share, _rng()
    ).numpy()

    gone = masked[:, :, 0, 0] == 0
    assert ((masked == 0) == gone[..., None, None]).all()
    past_the_end = np.arange(40) >= lengths[:, None]
    assert not (gone & past_the_end).any()
    runs = np.diff(gone.astype(int), axis=1, prepend=0).clip(0).sum(1)
    assert runs.max() == count
    assert (gone.sum(1) <= count * np.floor(share * lengths)).all()


@pytest.mark.parametrize("axis", ["time", "frequency"])
def test_widths_and_starts_of_masks_are_uniform(axis):
    batch, size, widest = 4000, 10, 4
    shape = [batch, size, 1, 1] if axis == "time" else [batch, 1, size, 1]
    x = tf.ones(shape)

    if axis == "time":
        lengths = tf.fill([batch], size)
        masked = spectrogram_augmentation.mask_time(x, lengths, 1, 0.4, _rng())
    else:
        masked = spectrogram_augmentation.mask_frequency(x, 1, widest, _rng())

    gone = tf.reshape(masked, [batch, size]).numpy() == 0
    widths = gone.sum(1)
    shares = np.bincount(widths, minlength=widest + 1) / batch
    np.testing.assert_allclose(shares, 1 / 5, atol=0.03)  # 0 to 4
    for width in range(1, widest + 1):
        starts = gone[widths == width].argmax(1)
        number = size - width + 1
        shares = np.bincount(starts, minlength=number) / len(starts)
        assert len(shares) == number
        np.testing.assert_allclose(shares, 1 / number, atol=0.05)


def test_masks_of_frequency_go_through_all_frames_and_may_be_everything():
    x = tf.ones([300, FRAMES, 3, CHANNELS])

    masked = spectrogram_augmentation.mask_frequency(x, 1, 99, _rng()).numpy()

    gone = masked[:, 0, :, 0] == 0
    assert ((masked == 0) == gone[:, None, :, None]).all()
    assert set(gone.sum(1)) == {0, 1, 2, 3}


def _augment(x, lengths, rng):
    x, lengths = spectrogram_augmentation.warp_time(x, lengths, 0.2, rng)
    x = spectrogram_augmentation.warp_frequency(x, 0.2, rng)
    x = spectrogram_augmentation.mask_time(x, lengths, 2, 0.3, rng)
    return spectrogram_augmentation.mask_frequency(x, 2, 4, rng), lengths


def test_the_data_of_a_row_do_not_depend_on_padding():
    short, lengths = _spectrograms()
    long = tf.pad(short, [[0, 0], [0, 9], [0, 0], [0, 0]])

    first, first_lengths = _augment(short, lengths, _rng())
    second, second_lengths = _augment(long, lengths, _rng())

    np.testing.assert_array_equal(first_lengths, second_lengths)
    np.testing.assert_array_equal(first, second[:, : first.shape[1]])
    np.testing.assert_array_equal(second[:, first.shape[1] :], 0.0)


def test_the_same_seed_repeats_and_rows_and_steps_differ():
    x = tf.repeat(_spectrograms()[0][:1], 3, axis=0)
    lengths = tf.fill([3], FRAMES)

    first, again, other = (_augment(x, lengths, _rng(s))[0] for s in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    assert np.abs(first[0] - first[1]).max() > 0.1


def test_compiled_shapes_and_lengths_are_the_same():
    x, lengths = _spectrograms()

    @tf.function(jit_compile=True)
    def compiled(seed):
        return _augment(x, lengths, randomness.RandomStream(seed))

    augmented, warped = compiled(tf.constant([1, 7], tf.int32))

    assert augmented.shape == (4, 28, BINS, CHANNELS)
    # XLA draws other numbers, so only their bounds are known.
    np.testing.assert_array_less(np.floor(LENGTHS * 0.8) - 1, warped)
    np.testing.assert_array_less(warped, np.ceil(LENGTHS * 1.2) + 1)
    mask = np.arange(28) < warped.numpy()[:, None]
    assert (augmented.numpy()[~mask] == 0).all()
    assert np.isfinite(augmented).all()
