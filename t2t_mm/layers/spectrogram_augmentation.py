"""Random changes of spectrograms in training, so that no two steps see the same.

Spectrograms are `[batch, frames, bins, channels]` float32 of mean 0, zeros after the
data. What is masked becomes 0, the mean. All channels of a number change alike.
"""

import tensorflow as tf

from t2t_mm.layers import core, randomness

# Up to this share of the bins a warp scales; above, it returns to the last bin, so that
# none is lost (as the published warp of Hz does).
_SCALED_SHARE = 0.8


def warp_time(
    spectrograms: tf.Tensor,
    lengths: tf.Tensor,
    most: float,
    rng: randomness.RandomStream,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Makes each example slower or faster, without changing its pitch.

    The duration of an example is multiplied by a factor from 1 - `most` to 1 + `most`;
    frames between two are interpolated.

    Args:
      spectrograms: `[batch, frames, bins, channels]`.
      lengths: `[batch]` int32, how many frames of each are data.
      most: largest change of duration, at least 0 and below 1.
      rng: where the factors come from.

    Returns:
      `[batch, frames * (1 + most), bins, channels]`, rounded up, and the lengths.
    """
    frames = tf.shape(spectrograms)[1]
    factors = _factors(tf.shape(lengths), most, rng)
    longest = _scale_up(frames, 1.0 + most)
    # At least a frame of data stays, and no data appear in a filler.
    warped_lengths = tf.minimum(_scale_up(lengths, factors), longest)
    positions = tf.range(longest, dtype=tf.float32) / factors[:, tf.newaxis]
    last = tf.cast(tf.maximum(lengths - 1, 0), tf.float32)
    positions = tf.minimum(positions, last[:, tf.newaxis])
    warped = _interpolate(spectrograms, positions, axis=1)
    mask = tf.sequence_mask(warped_lengths, longest)
    return core.apply_mask(warped, mask), warped_lengths


def warp_frequency(
    spectrograms: tf.Tensor, most: float, rng: randomness.RandomStream
) -> tf.Tensor:
    """Perturbs the length of the vocal tract (Jaitly and Hinton 2013).

    What was at a bin moves by a factor from 1 - `most` to 1 + `most`, another one for
    each example. The paper scales frequencies in Hz; a mel bin does not know its own.

    Args:
      spectrograms: `[batch, frames, bins, channels]`.
      most: largest change, at least 0 and below 1.
      rng: where the factors come from.
    """
    last = spectrograms.shape[2] - 1
    factors = _factors(tf.shape(spectrograms)[:1], most, rng)[:, tf.newaxis]
    to = tf.range(last + 1, dtype=tf.float32)
    # The knee lies at `_SCALED_SHARE` of the bins, of those read or of those written.
    knee = _SCALED_SHARE * last * tf.minimum(1.0, factors)
    slope = (last - knee / factors) / (last - knee)
    positions = tf.where(to <= knee, to / factors, last - (last - to) * slope)
    return _interpolate(spectrograms, positions, axis=2)


def mask_time(
    spectrograms: tf.Tensor,
    lengths: tf.Tensor,
    count: int,
    share: float,
    rng: randomness.RandomStream,
) -> tf.Tensor:
    """Masks stretches of time (Park et al. 2019; as a share, Park et al. 2020).

    Args:
      spectrograms: `[batch, frames, bins, channels]`.
      lengths: `[batch]` int32, how many frames of each are data.
      count: stretches per example; they may overlap.
      share: of the frames of an example, the widest stretch.
      rng: where widths and starts come from.
    """
    widest = tf.cast(share * tf.cast(lengths, tf.float32), tf.int32)
    kept = _outside(tf.shape(spectrograms)[1], lengths, widest, count, rng)
    return core.apply_mask(spectrograms, kept)


def mask_frequency(
    spectrograms: tf.Tensor, count: int, widest: int, rng: randomness.RandomStream
) -> tf.Tensor:
    """Masks bands of frequencies (Park et al. 2019).

    Args:
      spectrograms: `[batch, frames, bins, channels]`.
      count: bands per example; they may overlap.
      widest: bins of the widest band, at most all.
      rng: where widths and starts come from.
    """
    bins = spectrograms.shape[2]
    ends = tf.fill(tf.shape(spectrograms)[:1], bins)
    kept = _outside(bins, ends, tf.fill(tf.shape(ends), min(widest, bins)), count, rng)
    # [batch, bins] -> [batch, 1, bins, 1]
    kept = kept[:, tf.newaxis, :, tf.newaxis]
    return spectrograms * tf.cast(kept, spectrograms.dtype)


def _scale_up(sizes: tf.Tensor, factors: tf.Tensor | float) -> tf.Tensor:
    return tf.cast(tf.math.ceil(tf.cast(sizes, tf.float32) * factors), tf.int32)


def _factors(shape: tf.Tensor, most: float, rng: randomness.RandomStream) -> tf.Tensor:
    return 1.0 + most * (2.0 * randomness.uniform(shape, rng) - 1.0)


def _outside(
    size: tf.Tensor | int,
    ends: tf.Tensor,
    widest: tf.Tensor,
    count: int,
    rng: randomness.RandomStream,
) -> tf.Tensor:
    """Returns where none of `count` random intervals per row is.

    Widths are uniform from 0 to `widest`, starts uniform among those that fit.

    Args:
      size: positions of a row.
      ends: `[batch]` int32, where the data of each row end.
      widest: `[batch]` int32, at most `ends`.
      count: intervals per row.
      rng: where widths and starts come from.

    Returns:
      `[batch, size]` bool.
    """
    numbers = randomness.uniform([2, tf.shape(ends)[0], count], rng)
    widths = _below(numbers[0], widest[:, tf.newaxis] + 1)
    starts = _below(numbers[1], ends[:, tf.newaxis] - widths + 1)
    # [batch, count] -> [batch, size, count]
    positions = tf.range(size)[tf.newaxis, :, tf.newaxis]
    starts, widths = starts[:, tf.newaxis], widths[:, tf.newaxis]
    inside = (positions >= starts) & (positions < starts + widths)
    return ~tf.reduce_any(inside, axis=2)


def _below(numbers: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
    """Maps numbers from 0 to below 1 to ints from 0 to below `ends`."""
    return tf.cast(numbers * tf.cast(ends, tf.float32), tf.int32)


def _interpolate(x: tf.Tensor, positions: tf.Tensor, *, axis: int) -> tf.Tensor:
    """Reads `x` between its positions on an axis, each row at its own.

    Args:
      x: `[batch, frames, bins, channels]`.
      positions: `[batch, n]` float32 between 0 and the last position.
      axis: 1 for time or 2 for frequency; it becomes of size `n`.
    """
    last = tf.shape(x)[axis] - 1
    below = tf.cast(tf.floor(positions), tf.int32)
    weights = positions - tf.cast(below, tf.float32)
    shape = [-1, 1, 1, 1]
    shape[axis] = tf.shape(positions)[1]
    weights = tf.reshape(weights, shape)
    low = tf.gather(x, below, axis=axis, batch_dims=1)
    high = tf.gather(x, tf.minimum(below + 1, last), axis=axis, batch_dims=1)
    return low + weights * (high - low)
