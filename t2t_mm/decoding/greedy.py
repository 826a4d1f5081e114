"""Greedy search: the most likely id at every position that is not given."""

from collections.abc import Callable

import tensorflow as tf

from t2t_mm.features import EOS_ID, PAD_ID
from t2t_mm.model import DecodeState

StepFunction = Callable[
    [tf.Tensor, DecodeState, tf.Tensor], tuple[tf.Tensor, DecodeState]
]


def greedy_search(
    step_function: StepFunction,
    initial_state: DecodeState,
    *,
    is_filler: tf.Tensor,
    max_length: tf.Tensor,
    prompts: tf.Tensor | None = None,
) -> tf.Tensor:
    """Extends every row until all have ended or `max_length` is reached.

    Args:
      step_function: maps ids `[batch]`, state and position `[]` to logits
        `[batch, vocab_size]` and the next state.
      initial_state: before the first position.
      is_filler: `[batch]` bool, rows that nobody waits for; they stay empty.
      max_length: `[]` int32, largest number of ids.
      prompts: `[batch, prompt_length]` int32, ids that the rows start with, with zeros
        after them; None if there are none. `prompt_length` is at most `max_length`.

    Returns:
      `[batch, max_length]` int32, prompts included; after the id that ends a sequence
      come zeros.
    """
    batch = tf.shape(is_filler)[0]
    given = tf.zeros([max_length, batch], tf.int32)
    if prompts is not None:
        prompt_length = tf.shape(prompts)[1]
        given = tf.pad(tf.transpose(prompts), [[0, max_length - prompt_length], [0, 0]])
    initial_ids = tf.fill([batch], PAD_ID)
    outputs = tf.zeros([max_length, batch], tf.int32)

    def goes_on(
        position: tf.Tensor,
        ids: tf.Tensor,
        ended: tf.Tensor,
        outputs: tf.Tensor,
        state: DecodeState,
    ) -> tf.Tensor:
        del ids, outputs, state
        return (position < max_length) & ~tf.reduce_all(ended)

    def extend(
        position: tf.Tensor,
        ids: tf.Tensor,
        ended: tf.Tensor,
        outputs: tf.Tensor,
        state: DecodeState,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, DecodeState]:
        logits, state = step_function(ids, state, position)
        best = tf.argmax(logits, axis=-1, output_type=tf.int32)
        chosen = tf.where(given[position] == PAD_ID, best, given[position])
        ids = tf.where(ended, PAD_ID, chosen)
        outputs = tf.tensor_scatter_nd_update(outputs, position[None, None], ids[None])
        return position + 1, ids, ended | (ids == EOS_ID), outputs, state

    *_, outputs, _ = tf.while_loop(
        goes_on,
        extend,
        (
            tf.constant(0),
            initial_ids,
            is_filler,
            outputs,
            initial_state,
        ),
    )
    return tf.transpose(outputs)  # [max_length, batch] -> [batch, max_length]
