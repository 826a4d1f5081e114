"""Timing signals: sines and cosines that say where a position is."""

import math

import tensorflow as tf

MAX_TIMESCALE = 1.0e4


def timing_signal(positions: tf.Tensor, depth: int, *, channels: int = 0) -> tf.Tensor:
    """Returns the timing signal of MultiModel (Kaiser et al. 2017, section 2.5).

    Channel pairs have timescales from 1 to `MAX_TIMESCALE` in geometric progression.
    All sines come first, then all cosines: a fixed permutation of the interleaved
    layout that the paper prints, and the layout of Tensor2Tensor. An odd `depth` gets a
    last channel of zeros.

    Args:
      positions: `[length]` int32.
      depth: number of channels, at least 2.
      channels: how many of them have a signal, the others are zero; 0 for all. The
        first release of MultiModel had 32.

    Returns:
      `[length, depth]` float32.
    """
    pairs = min(channels or depth, depth) // 2
    increment = math.log(MAX_TIMESCALE) / max(pairs - 1, 1)
    inverse_timescales = tf.exp(-increment * tf.range(pairs, dtype=tf.float32))
    # [length, 1] * [1, pairs] -> [length, pairs]
    angles = tf.cast(positions, tf.float32)[:, None] * inverse_timescales[None]
    signal = tf.concat([tf.sin(angles), tf.cos(angles)], axis=1)
    return tf.pad(signal, [[0, 0], [0, depth - 2 * pairs]])


def add_timing_signal(x: tf.Tensor, *, channels: int = 0) -> tf.Tensor:
    """Adds the timing signal of positions 0, 1, ... to `[batch, length, depth]`."""
    signal = timing_signal(tf.range(tf.shape(x)[1]), x.shape[2], channels=channels)
    return x + tf.cast(signal, x.dtype)[None]


def timing_signal_2d(height: int, width: int, depth: int) -> tf.Tensor:
    """Returns a timing signal of rows and columns, as Tensor2Tensor for images.

    The first half of the channels holds the signal of the row, the second half that of
    the column; up to three last channels, of a `depth` that 4 does not divide, are 0.

    Args:
      height: number of rows.
      width: number of columns.
      depth: number of channels, at least 4.

    Returns:
      `[height, width, depth]` float32.
    """
    size = depth // 4 * 2
    rows = timing_signal(tf.range(height), size)[:, None]
    columns = timing_signal(tf.range(width), size)[None]
    # [height, 1, size] and [1, width, size] -> [height, width, 2 * size]
    shape = [height, width, size]
    signal = tf.concat(
        [tf.broadcast_to(rows, shape), tf.broadcast_to(columns, shape)], axis=2
    )
    return tf.pad(signal, [[0, 0], [0, 0], [0, depth - 2 * size]])
