"""A moving average of the weights, which evaluates better than the last ones."""

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

from t2t_mm.layers import initializers


class WeightAverage(tf.Module):
    """Exponential moving average of variables (Polyak and Juditsky 1992).

    A variable's average moves when the variable is updated, and only then: the decay is
    per update of its own. It is less at the start, (1 + updates) / (10 + updates), so
    that the initial values are soon forgotten.

    Attributes:
      averages: by key of the variable.
    """

    def __init__(self, variables: Sequence[tf.Variable], decay: float) -> None:
        """Starts the average at the values of `variables`."""
        super().__init__(name="average")
        self._decay = decay
        self.averages = {
            initializers.key(variable): tf.Variable(
                tf.convert_to_tensor(variable), trainable=False, name="average"
            )
            for variable in variables
        }

    def update(
        self, variables: Sequence[tf.Variable], counts: Sequence[tf.Tensor]
    ) -> None:
        """Moves the averages of variables that have just been updated.

        Args:
          variables: some of those of the average.
          counts: number of updates of each, `[]` int64.
        """
        for variable, count in zip(variables, counts, strict=True):
            average = self.averages[initializers.key(variable)]
            updates = tf.cast(count, tf.float32)
            decay = tf.minimum(self._decay, (1.0 + updates) / (10.0 + updates))
            average.assign_sub((1.0 - decay) * (average - variable))

    @contextlib.contextmanager
    def applied(self, variables: Sequence[tf.Variable]) -> Iterator[None]:
        """Gives variables their averages inside the context."""
        values = [variable.read_value() for variable in variables]
        self.apply(variables)
        try:
            yield
        finally:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)

    def apply(self, variables: Sequence[tf.Variable]) -> None:
        """Gives variables their averages."""
        for variable in variables:
            variable.assign(self.averages[initializers.key(variable)])
