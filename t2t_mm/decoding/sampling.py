"""Samples of a model's distribution, the same for the same seed.

A row draws from its own stream of numbers, so its sample depends neither on the batch
that it is in nor on padding.
"""

import tensorflow as tf

from t2t_mm.decoding.sequential import Choice


def draw(seed: tf.Tensor, numbers: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Returns uniform numbers from 0 to below 1, `[rows, length]`.

    Args:
      seed: `[]` int32.
      numbers: `[rows]` int32, the number of the stream of each row.
      length: `[]` int32; a longer stream begins with the shorter.
    """

    def stream(number: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform([length], tf.stack([seed, number]))

    return tf.map_fn(stream, numbers, fn_output_signature=tf.float32)


def sampler(
    uniform: tf.Tensor, *, temperature: float, keep_top_k: int, keep_top_p: float
) -> Choice:
    """Returns the choice that turns uniform numbers into ids.

    Args:
      uniform: `[rows, length]` from `draw`, a number for every position.
      temperature: scores are divided by it; above 0.
      keep_top_k: only so many of the most likely ids are drawn; 0 for all.
      keep_top_p: only the most likely ids are drawn that together have this
        probability, the one that reaches it included (nucleus sampling, Holtzman et al.
        2020, arXiv:1904.09751); 1 for all.
    """

    def choose(scores: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        count = tf.shape(scores)[1]
        if keep_top_k:
            count = tf.minimum(count, keep_top_k)
        sorted_scores, ids = tf.math.top_k(scores / temperature, count)
        probabilities = tf.nn.softmax(sorted_scores)
        before = tf.cumsum(probabilities, axis=1, exclusive=True)
        kept = tf.where(before < keep_top_p, probabilities, 0.0)
        up_to = tf.cumsum(kept, axis=1)
        point = tf.gather(uniform, position, axis=1) * up_to[:, -1]
        rank = tf.reduce_sum(tf.cast(up_to <= point[:, None], tf.int32), axis=1)
        rank = tf.minimum(rank, count - 1)  # rounding may have reached the sum
        return tf.gather(ids, rank, batch_dims=1)

    return choose
