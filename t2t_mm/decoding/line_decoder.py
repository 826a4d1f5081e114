"""Lines to outputs; no line, whatever is in it, stops the others."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from absl import logging

from t2t_mm.decoding.decoder import Decoder
from t2t_mm.decoding.hypothesis import Hypothesis
from t2t_mm.decoding.input_lines import Line


class Answer(NamedTuple):
    """What a line gave.

    Attributes:
      number: of the line.
      results: outputs, the best first; none if the line was empty or unreadable.
    """

    number: int
    results: Sequence[Hypothesis]


def decode(decoder: Decoder, lines: Sequence[Line]) -> Iterator[Answer]:
    """Yields the answers of lines, a batch after the other, in any order.

    An empty line gives nothing, nor does one that cannot be read, with a warning.
    """
    readable: list[tuple[Line, Any]] = []
    for line in lines:
        value = _read(decoder, line) if line.text.strip() else None
        if value is None:
            yield Answer(line.number, ())
        else:
            readable.append((line, value))
    numbers = [line.number for line, _ in readable]
    for position, results in decoder.search(
        [value for _, value in readable], numbers=numbers
    ):
        yield Answer(numbers[position], results)


def _read(decoder: Decoder, line: Line) -> Any:
    """Returns the raw input that a line stands for; None if it stands for none."""
    try:
        value = decoder.problem.read_input(line.text)
        decoder.check_input(value)
    except (OSError, ValueError) as error:
        logging.warning("Line %d: %s", line.number + 1, error)
        return None
    return value
