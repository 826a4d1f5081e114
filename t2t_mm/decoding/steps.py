"""Steps of a search: from the ids so far to scores of the next, one inside another.

A search calls its step once per position. The innermost step is a model's; the others
change what it says, and add to the state what they must know.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from t2t_mm.features import EOS_ID, PAD_ID

State = Any  # nest of tensors whose axis 0 is rows of the search
# Maps ids `[rows]`, state and position `[]` to scores `[rows, vocab_size]` and the next
# state. Scores are log-probabilities, or what a wish of the user has made of them.
StepFunction = Callable[[tf.Tensor, State, tf.Tensor], tuple[tf.Tensor, State]]

FORBIDDEN = -1e9  # as a score; finite, so that sums and differences are, too


def repeat_rows(state: State, times: int) -> State:
    """Returns a state with every row `times` times, copies side by side."""
    if times == 1:
        return state
    rows = tf.shape(tf.nest.flatten(state)[0])[0]
    sources = tf.repeat(tf.range(rows), times)
    return tf.nest.map_structure(lambda leaf: tf.gather(leaf, sources), state)


def mean_of(step_functions: Sequence[StepFunction]) -> StepFunction:
    """Returns the step of several models as one: their mean probabilities.

    Args:
      step_functions: steps that return logits.

    Returns:
      A step that returns log-probabilities; its state is the tuple of theirs.
    """

    def step(
        ids: tf.Tensor, state: tuple[State, ...], position: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[State, ...]]:
        logits, states = zip(
            *(
                function(ids, part, position)
                for function, part in zip(step_functions, state, strict=True)
            ),
            strict=True,
        )
        return mean_log_probabilities(logits), states

    return step


def mean_log_probabilities(logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the logarithm of the mean of the probabilities that logits stand for."""
    log_probabilities = [tf.nn.log_softmax(tf.cast(x, tf.float32)) for x in logits]
    if len(log_probabilities) == 1:
        return log_probabilities[0]
    total = tf.reduce_logsumexp(tf.stack(log_probabilities), 0)
    return total - tf.math.log(float(len(log_probabilities)))


def with_ends(function: StepFunction, *, eos_penalty: float) -> StepFunction:
    """Returns a step that ends no row too early, and ends less gladly.

    Args:
      function: the step inside.
      eos_penalty: what is taken off the score of the end.

    Returns:
      A step whose state is a pair: the state of the step inside, and how many ids must
      come before the one that ends a row, `[rows]` int32.
    """

    def step(
        ids: tf.Tensor, state: tuple[State, tf.Tensor], position: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[State, tf.Tensor]]:
        inner, least_lengths = state
        scores, inner = function(ids, inner, position)
        is_end = tf.range(tf.shape(scores)[1]) == EOS_ID
        scores = tf.where(is_end, scores - eos_penalty, scores)
        too_early = (position < least_lengths)[:, None] & is_end
        return tf.where(too_early, FORBIDDEN, scores), (inner, least_lengths)

    return step


def with_given(function: StepFunction) -> StepFunction:
    """Returns a step that allows nothing but the ids that are given, where some are.

    Args:
      function: the step inside.

    Returns:
      A step whose state is a pair: the state of the step inside, and the ids that rows
      begin with, `[rows, given_length]` int32, with zeros after them. A given id scores
      0: it is no choice.
    """

    def step(
        ids: tf.Tensor, state: tuple[State, tf.Tensor], position: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[State, tf.Tensor]]:
        inner, given = state
        scores, inner = function(ids, inner, position)
        length = tf.shape(given)[1]
        padded = tf.pad(given, [[0, 0], [0, 1]])  # so that there is one to look at
        here = tf.gather(padded, tf.minimum(position, length), axis=1)[:, None]
        is_given = tf.range(tf.shape(scores)[1]) == here
        forced = tf.where(is_given, 0.0, FORBIDDEN)
        return tf.where(here == PAD_ID, scores, forced), (inner, given)

    return step
