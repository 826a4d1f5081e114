"""Norms of parameters and gradients by module: where a model learns, and how fast."""

from collections.abc import Sequence

import tensorflow as tf


class Modules:
    """The parts of a model that variables belong to.

    Attributes:
      names: of the parts, such as "encoder_0", in the order of the variables.
    """

    def __init__(self, variables: Sequence[tf.Variable]) -> None:
        """Groups variables by the part of their names that follows the model's."""
        parts = [_part(variable.name) for variable in variables]
        self.names = list(dict.fromkeys(parts))
        self._numbers = [self.names.index(part) for part in parts]

    def norms(self, half_squares: Sequence[tf.Tensor | None]) -> tf.Tensor:
        """Returns the root of the sum of squares of each part, `[parts]` float32.

        Args:
          half_squares: half the sum of squares of each variable's values, as
            `gradients.half_squares` returns them; None counts as 0.
        """
        terms: list[list[tf.Tensor]] = [[tf.zeros([])] for _ in self.names]
        for number, half in zip(self._numbers, half_squares, strict=True):
            if half is not None:
                terms[number].append(half)
        # Not `tf.add_n`: it begins with a number that nothing else still reads.
        sums = [tf.reduce_sum(tf.stack(part)) for part in terms]
        return tf.sqrt(2.0 * tf.stack(sums))

    def by_name(self, norms: tf.Tensor) -> dict[str, float]:
        """Returns norms `[parts]` by name of the part."""
        return dict(zip(self.names, norms.numpy().tolist(), strict=True))


def _part(name: str) -> str:
    _, slash, rest = name.removesuffix(":0").partition("/")
    return rest.partition("/")[0] if slash else name.removesuffix(":0")
