"""Log-mel spectrograms."""

import dataclasses

from etils import epy

with epy.lazy_imports():
    import tensorflow as tf

LOWEST_HZ = 20.0
_LOG_FLOOR = 1e-6  # energy below this is silence; keeps the logarithm finite
_VARIANCE_FLOOR = 1e-6  # of a constant spectrogram, such as pure silence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Frames:
    """How a waveform is cut into frames.

    Attributes:
      sample_rate: in Hz.
      length: length of a frame in samples.
      step: samples between the starts of two frames.
      num_mel_bins: frequencies per frame.
    """

    sample_rate: int
    length: int
    step: int
    num_mel_bins: int

    def count(self, num_samples: int) -> int:
        """Returns the number of frames: one for every `step` samples begun."""
        return -(-num_samples // self.step)


def log_mel(
    waveforms: "tf.Tensor", num_frames: "tf.Tensor", frames: Frames
) -> "tf.Tensor":
    """Returns log-mel spectrograms with mean 0 and variance 1 in every row.

    Frames start every `frames.step` samples and run past the end into zeros, so that
    what a row gets does not depend on how far the batch is padded.

    Args:
      waveforms: `[batch, samples]` between -1 and 1, padded with zeros; `samples` is a
        multiple of `frames.step`.
      num_frames: `[batch]` int32, how many frames of each row are data.
      frames: how to cut the waveforms.

    Returns:
      `[batch, samples / step, num_mel_bins]`, zeros after the data.
    """
    spectrum = tf.abs(
        tf.signal.stft(waveforms, frames.length, frames.step, pad_end=True)
    )
    mel_weights = tf.signal.linear_to_mel_weight_matrix(
        num_mel_bins=frames.num_mel_bins,
        num_spectrogram_bins=spectrum.shape[-1],
        sample_rate=frames.sample_rate,
        lower_edge_hertz=LOWEST_HZ,
        upper_edge_hertz=frames.sample_rate / 2,
    )
    energies = tf.tensordot(spectrum, mel_weights, 1)
    mask = tf.sequence_mask(num_frames, tf.shape(energies)[1], tf.float32)
    return _normalize(tf.math.log(energies + _LOG_FLOOR), mask[..., tf.newaxis])


def _normalize(values: "tf.Tensor", mask: "tf.Tensor") -> "tf.Tensor":
    """Gives each row's unmasked values mean 0 and variance 1; zeroes the rest."""
    bins = tf.cast(tf.shape(values)[-1], tf.float32)
    # A row without frames would otherwise divide by zero.
    count = tf.maximum(tf.reduce_sum(mask, [1, 2], keepdims=True) * bins, 1.0)
    mean = tf.reduce_sum(values * mask, [1, 2], keepdims=True) / count
    centred = (values - mean) * mask
    variance = tf.reduce_sum(tf.square(centred), [1, 2], keepdims=True) / count
    return centred * tf.math.rsqrt(variance + _VARIANCE_FLOOR)


def with_deltas(
    spectrograms: "tf.Tensor", num_frames: "tf.Tensor", num_deltas: int
) -> "tf.Tensor":
    """Returns spectrograms and their derivatives with respect to time, as channels.

    A derivative is the slope over five frames, scaled as Tensor2Tensor scales it: the
    weights have length 1, so that noise keeps its size.

    Args:
      spectrograms: `[batch, frames, bins]`, zeros after the data.
      num_frames: `[batch]` int32, how many frames of each row are data.
      num_deltas: how many derivatives.

    Returns:
      `[batch, frames, bins, 1 + num_deltas]`, zeros after the data.
    """
    mask = tf.sequence_mask(num_frames, tf.shape(spectrograms)[1], tf.float32)
    channels = [spectrograms]
    for _ in range(num_deltas):
        padded = tf.pad(channels[-1], [[0, 0], [2, 2], [0, 0]])
        near = padded[:, 3:-1] - padded[:, 1:-3]
        far = padded[:, 4:] - padded[:, :-4]
        # The slope of the last frames reaches into what is not data.
        channels.append((near + 2 * far) / 10**0.5 * mask[..., tf.newaxis])
    return tf.stack(channels, axis=-1)
