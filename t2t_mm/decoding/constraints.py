"""Search among outputs of a given form only.

A constraint is an automaton that reads the ids of an output and says which may follow.
It runs in the graph beside the model; its state is part of the search's.
"""

import abc
from typing import Any, ClassVar

import tensorflow as tf

from t2t_mm.decoding.steps import FORBIDDEN, StepFunction

State = Any  # nest of tensors whose axis 0 is batch


class Constraint(abc.ABC):
    """Says at every position which ids may stand there.

    Attributes:
      reads_words: whether it depends on the number of words in the input.
    """

    reads_words: ClassVar[bool] = False

    def count_words(self, text: str) -> int:
        """Returns the number of words in an input, as `start` wants it."""
        return 0

    @abc.abstractmethod
    def start(self, num_words: tf.Tensor, max_lengths: tf.Tensor) -> State:
        """Returns the state before the first position.

        Args:
          num_words: `[batch]` int32, number of words in the input of each row.
          max_lengths: `[batch]` int32, the largest number of ids of each row, the one
            that ends it included; at least `least_length(num_words)`.
        """

    @abc.abstractmethod
    def least_length(self, num_words: tf.Tensor) -> tf.Tensor:
        """Returns how many ids, `[batch]` int32, there must be room for."""

    @abc.abstractmethod
    def allowed(self, state: State) -> tf.Tensor:
        """Returns which ids may follow, `[batch, vocab_size]` bool.

        It is at least one for a row that has kept to the constraint and has not ended.
        """

    @abc.abstractmethod
    def advance(self, state: State, ids: tf.Tensor) -> State:
        """Returns the state after ids `[batch]`; padding and end leave it as it is."""


def constrain(step_function: StepFunction, constraint: Constraint) -> StepFunction:
    """Returns a step function that scores only what a constraint allows.

    Args:
      step_function: the step inside.
      constraint: what to keep to.

    Returns:
      A step function whose state is the pair of those of both. What is not allowed
      scores `FORBIDDEN`; the other scores stay as they are.
    """

    def step(
        ids: tf.Tensor, state: tuple[Any, State], position: tf.Tensor
    ) -> tuple[tf.Tensor, tuple[Any, State]]:
        model_state, constraint_state = state
        constraint_state = constraint.advance(constraint_state, ids)
        scores, model_state = step_function(ids, model_state, position)
        allowed = constraint.allowed(constraint_state)
        scores = tf.where(allowed, scores, tf.cast(FORBIDDEN, scores.dtype))
        return scores, (model_state, constraint_state)

    return step
