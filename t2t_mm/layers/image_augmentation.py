"""Random changes of images in training, so that no two steps see the same.

Images are `[batch, height, width, channels]` float of mean 0; what a shift uncovers
becomes 0, the mean.
"""

import tensorflow as tf

from t2t_mm.layers import randomness


def flip(images: tf.Tensor, rng: randomness.RandomStream) -> tf.Tensor:
    """Turns each image left to right, with probability 1/2."""
    numbers = randomness.uniform([tf.shape(images)[0], 1, 1, 1], rng)
    return tf.where(numbers < 0.5, tf.reverse(images, [2]), images)


def shift(images: tf.Tensor, most: int, rng: randomness.RandomStream) -> tf.Tensor:
    """Moves each image up or down and left or right.

    The same as to pad all sides and to crop to the old size somewhere.

    Args:
      images: `[batch, height, width, channels]`.
      most: pixels of the farthest shift in each direction; every one up to it is as
        likely.
      rng: where the shifts come from.
    """
    numbers = randomness.uniform([2, tf.shape(images)[0]], rng)
    shifts = tf.cast(numbers * (2 * most + 1), tf.int32) - most
    for axis, shifts_of_axis in ((1, shifts[0]), (2, shifts[1])):
        images = _shift_axis(images, shifts_of_axis, axis)
    return images


def _shift_axis(images: tf.Tensor, shifts: tf.Tensor, axis: int) -> tf.Tensor:
    size = images.shape[axis]
    sources = tf.range(size) - shifts[:, tf.newaxis]  # [batch, size]
    is_inside = (sources >= 0) & (sources < size)
    moved = tf.gather(
        images, tf.clip_by_value(sources, 0, size - 1), axis=axis, batch_dims=1
    )
    shape = [-1, 1, 1, 1]
    shape[axis] = size
    return moved * tf.reshape(tf.cast(is_inside, images.dtype), shape)
