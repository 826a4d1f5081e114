"""Which problem trains at which step: a pure function of the seed and the step.

The grammar of the hyperparameter `mixing`:

    proportional          by the number of training examples
    equal                 the same for all
    temperature:2         by the square root of that (Raffel et al. 2020)
    wmt_ende:3,imagenet:1 by the given weights; problems left out are an error
"""

from collections.abc import Mapping

import numpy as np

_STREAM = 1  # sets these random numbers apart from others of the same seed


def parse_mixing(text: str, num_examples: Mapping[str, int]) -> dict[str, float]:
    """Returns the rate of each problem; they sum to 1.

    Args:
      text: in the grammar above.
      num_examples: number of training examples by problem.

    Raises:
      ValueError: if `text` is not in the grammar or its weights do not fit.
    """
    word, _, argument = text.partition(":")
    if text == "equal":
        weights = dict.fromkeys(num_examples, 1.0)
    elif text == "proportional":
        weights = {name: float(count) for name, count in num_examples.items()}
    elif word == "temperature":
        power = 1.0 / _positive(argument, text)
        weights = {name: count**power for name, count in num_examples.items()}
    elif argument:
        weights = _parse_weights(text, num_examples)
    else:
        raise ValueError(
            "The mixing must be 'proportional', 'equal', 'temperature:T' or weights "
            f"'problem:weight,...'; got '{text}'."
        )
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def _positive(number: str, text: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not 0.0 < value < float("inf"):
        raise ValueError(f"The mixing needs a number above 0; got '{text}'.")
    return value


def _parse_weights(text: str, num_examples: Mapping[str, int]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for item in text.split(","):
        name, _, number = (part.strip() for part in item.partition(":"))
        if name in weights:
            raise ValueError(f"The mixing names '{name}' twice: '{text}'.")
        weights[name] = _positive(number, text)
    if weights.keys() != num_examples.keys():
        raise ValueError(
            "Mixing by weights must name each problem of the run once. The run has "
            f"{sorted(num_examples)}; the weights are for {sorted(weights)}."
        )
    return {name: weights[name] for name in num_examples}


class MixingSchedule:
    """Draws one problem for every step."""

    def __init__(self, rates: Mapping[str, float], seed: int) -> None:
        """Creates a schedule.

        Args:
          rates: probability of each problem; they sum to 1.
          seed: seeds the draws.
        """
        self.rates = dict(rates)
        # Sorted, so that the order in which a user lists problems changes nothing.
        self._names = sorted(self.rates)
        self._bounds = np.cumsum([self.rates[name] for name in self._names])
        self._seed = seed

    def problem_at(self, step: int) -> str:
        """Returns the name of the problem that trains at `step` (0, 1, ...)."""
        generator = np.random.Generator(
            np.random.Philox(key=[self._seed, _STREAM], counter=[step, 0, 0, 0])
        )
        drawn = generator.random() * self._bounds[-1]
        return self._names[int(np.searchsorted(self._bounds, drawn, side="right"))]
