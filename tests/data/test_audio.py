import numpy as np
import tensorflow as tf

from t2t_mm.data import audio

FRAMES = audio.Frames(sample_rate=8000, length=200, step=160, num_mel_bins=20)


def _waveform(num_samples, hertz):
    seconds = np.arange(num_samples) / FRAMES.sample_rate
    return np.sin(2 * np.pi * hertz * seconds).astype(np.float32)


def _log_mel(waveforms, num_frames):
    return audio.log_mel(
        tf.constant(waveforms), tf.constant(num_frames), FRAMES
    ).numpy()


def test_a_step_that_is_begun_is_a_frame():
    assert [FRAMES.count(n) for n in (1, 160, 161, 320)] == [1, 1, 2, 2]


def test_shape_is_one_frame_per_step():
    assert _log_mel(np.zeros([2, 480], np.float32), [3, 3]).shape == (2, 3, 20)


def test_padding_of_the_batch_does_not_change_a_row():
    waveform = _waveform(500, 700)
    short = np.zeros([1, 640], np.float32)
    short[0, :500] = waveform
    long = np.zeros([1, 1600], np.float32)
    long[0, :500] = waveform

    np.testing.assert_allclose(
        _log_mel(short, [4]), _log_mel(long, [4])[:, :4], atol=1e-5
    )
    assert not _log_mel(long, [4])[:, 4:].any()


def test_rows_have_mean_zero_and_variance_one():
    noise = np.random.default_rng(0).normal(size=(2, 1600)).astype(np.float32) / 9

    values = _log_mel(noise, [10, 5])

    np.testing.assert_allclose(values[1, :5].mean(), 0, atol=1e-5)
    np.testing.assert_allclose(values[0].std(), 1, atol=1e-3)


def test_a_higher_tone_is_in_a_higher_bin():
    waveforms = np.stack([_waveform(1600, 300), _waveform(1600, 2500)])

    peaks = _log_mel(waveforms, [10, 10]).mean(axis=1).argmax(axis=-1)

    assert peaks[0] < peaks[1]


def test_silence_and_fillers_are_finite():
    assert np.isfinite(_log_mel(np.zeros([2, 320], np.float32), [2, 0])).all()


def test_derivatives_are_slopes_over_five_frames():
    values = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    values[1, 4:] = 0  # the second row has four frames

    found = audio.with_deltas(tf.constant(values), tf.constant([7, 4]), 2).numpy()

    weights = np.array([-2, -1, 0, 1, 2]) / np.sqrt(10)
    expected = np.zeros((2, 7, 3, 3), np.float32)
    for row, length in enumerate([7, 4]):
        signal = values[row, :length]
        for channel in range(3):
            expected[row, :length, :, channel] = signal
            padded = np.pad(signal, [(2, 2), (0, 0)])
            signal = np.stack(
                [weights @ padded[start : start + 5] for start in range(length)]
            )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_no_derivatives_are_one_channel():
    values = tf.random.stateless_normal([2, 5, 3], seed=[0, 1])

    found = audio.with_deltas(values, tf.constant([5, 5]), 0)

    np.testing.assert_array_equal(found[..., 0], values)
    assert found.shape == (2, 5, 3, 1)
