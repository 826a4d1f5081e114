"""One output of an input, as searches give it and commands write it."""

from typing import Any, NamedTuple


class Hypothesis(NamedTuple):
    """One output of an input.

    Attributes:
      text: the output; of a language model, what follows the prompt.
      ids: its ids with the one that ends it, or what the modality predicts if its
        targets are no ids.
      score: log-probability over ((5 + length) / 6)^alpha, of a class plain
        log-probability; None if targets are no ids.
      attention: of the best output, if it was asked for: how much each of `ids` looked
        at each position of the encoded input, by layer.
    """

    text: str
    ids: list[Any]
    score: float | None
    attention: dict[str, list[list[float]]] | None = None
