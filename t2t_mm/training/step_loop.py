"""Several steps in one call.

The steps of all kinds are branches of one graph, which draws their batches itself, so
nothing returns to Python between them. Each is the program that makes a step alone.
"""

import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from t2t_mm.training import feed as feed_lib
from t2t_mm.training import updates as updates_lib
from t2t_mm.training.step_values import BatchOutput, StepOutput, UpdateOutput


class StepLoop:
    """Makes several steps of one batch each in one call."""

    def __init__(
        self, updates: updates_lib.Updates, feed: feed_lib.Feed, *, seed: int
    ) -> None:
        """Prepares to trace the steps of all kinds of batches, at the first call.

        Args:
          updates: makes each step.
          feed: where batches come from; all its problems get opened.
          seed: of the run.
        """
        self._updates = updates
        self._feed = feed
        self._seed = seed
        self._kinds = feed.kinds()
        for kind in self._kinds:
            feed.open(kind.problem)
        self.program = tf.function(
            self._run,
            input_signature=[
                tf.TensorSpec([None], tf.int32, "kinds"),
                tf.TensorSpec([None], tf.float32, "learning_rates"),
                tf.TensorSpec([], tf.int32, "first_step"),
            ],
            autograph=False,
        )

    def steps(
        self, problems: Sequence[str], learning_rates: Sequence[float], first_step: int
    ) -> list[StepOutput]:
        """Makes a step of the next batch of each of `problems`, and counts it.

        Args:
          problems: in the order of the steps.
          learning_rates: of each step.
          first_step: number of updates before it.
        """
        kinds = [self._kinds.index(self._feed.count(problem)) for problem in problems]
        outputs = self.program(
            tf.constant(kinds),
            tf.constant(learning_rates, tf.float32),
            tf.constant(first_step),
        )
        columns = [tf.unstack(column) for column in tf.nest.flatten(outputs)]
        return [
            tf.nest.pack_sequence_as(outputs, values)
            for values in zip(*columns, strict=True)
        ]

    def _run(
        self, kinds: tf.Tensor, learning_rates: tf.Tensor, first_step: tf.Tensor
    ) -> StepOutput:
        """Returns what the steps gave, each value with an axis of steps in front."""
        count = tf.shape(kinds)[0]

        def make_step(number: tf.Tensor, arrays: StepOutput) -> tuple[Any, ...]:
            rate, step = learning_rates[number], first_step + number
            branches = [
                functools.partial(self._step, kind, rate, step) for kind in self._kinds
            ]
            output = tf.switch_case(kinds[number], branches)
            return number + 1, tf.nest.map_structure(
                lambda array, value: array.write(number, value), arrays, output
            )

        _, arrays = tf.while_loop(
            lambda number, _: number < count,
            make_step,
            (tf.constant(0), self._empty_arrays(count)),
            parallel_iterations=1,
        )
        return tf.nest.map_structure(lambda array: array.stack(), arrays)

    def _step(
        self, kind: feed_lib.Kind, learning_rate: tf.Tensor, step: tf.Tensor
    ) -> StepOutput:
        draw = self._feed.draw_in_graph(kind)
        (output,), update = self._updates.step(
            [draw], learning_rate, (self._seed, step)
        )
        return StepOutput(output, update)

    def _empty_arrays(self, count: tf.Tensor) -> StepOutput:
        def make(dtype: tf.DType, shape: Sequence[int] = ()) -> tf.TensorArray:
            return tf.TensorArray(dtype, count, element_shape=shape)

        return StepOutput(
            BatchOutput(*(make(tf.float32) for _ in BatchOutput._fields)),
            UpdateOutput(
                gradient_norm=make(tf.float32),
                applied=make(tf.bool),
                module_norms=make(tf.float32, [len(self._updates.modules.names)]),
            ),
        )
