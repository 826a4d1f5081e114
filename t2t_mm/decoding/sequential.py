"""Search that decides on one id at every position: the most likely, or a sample."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from t2t_mm.decoding.steps import State, StepFunction
from t2t_mm.features import EOS_ID, PAD_ID

# Maps scores `[rows, vocab_size]` and the position `[]` to ids `[rows]` int32.
Choice = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Extended(NamedTuple):
    """Rows of ids.

    Attributes:
      ids: `[rows, longest]` int32; after the id that ends a row come zeros.
      scores: `[rows]`, the sum of the scores of the ids.
    """

    ids: tf.Tensor
    scores: tf.Tensor


def best(scores: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Returns the ids of the highest scores; greedy search."""
    del position
    return tf.argmax(scores, axis=-1, output_type=tf.int32)


def extend(
    step_function: StepFunction,
    initial_state: State,
    *,
    choose: Choice,
    is_filler: tf.Tensor,
    max_lengths: tf.Tensor,
    room: tf.Tensor | int | None = None,
) -> Extended:
    """Extends every row until all have ended or reached their largest length.

    Args:
      step_function: scores the next id.
      initial_state: of the step function, before the first position.
      choose: decides on the next id.
      is_filler: `[rows]` bool, rows that nobody waits for; they stay empty.
      max_lengths: `[rows]` int32, largest number of ids of each row.
      room: `longest` of the result; the largest of `max_lengths` if None.
    """
    rows = tf.shape(is_filler)[0]
    longest = tf.reduce_max(max_lengths)
    room = longest if room is None else room

    def goes_on(position: tf.Tensor, ended: tf.Tensor, *_: State) -> tf.Tensor:
        return (position < longest) & ~tf.reduce_all(ended)

    def body(
        position: tf.Tensor,
        ended: tf.Tensor,
        ids: tf.Tensor,
        total: tf.Tensor,
        outputs: tf.Tensor,
        state: State,
    ) -> tuple[State, ...]:
        scores, state = step_function(ids, state, position)
        ids = tf.where(ended, PAD_ID, choose(scores, position))
        gained = tf.gather(scores, ids, batch_dims=1)
        total += tf.where(ended, 0.0, tf.cast(gained, tf.float32))
        outputs = tf.tensor_scatter_nd_update(outputs, position[None, None], ids[None])
        ended |= (ids == EOS_ID) | (position + 1 >= max_lengths)
        return position + 1, ended, ids, total, outputs, state

    _, _, _, total, outputs, _ = tf.while_loop(
        goes_on,
        body,
        (
            tf.constant(0),
            is_filler,
            tf.fill([rows], PAD_ID),
            tf.zeros([rows]),
            tf.zeros([room, rows], tf.int32),
            initial_state,
        ),
    )
    return Extended(tf.transpose(outputs), total)  # [longest, rows] -> [rows, longest]
