"""How likely the outputs in a file are: lines of input, tab, output."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from absl import logging

from t2t_mm.decoding.input_lines import Line
from t2t_mm.decoding.output_format import OutputFormat
from t2t_mm.decoding.output_scorer import OutputScore, OutputScorer
from t2t_mm.problem import Problem


def score(
    scorer: OutputScorer,
    problem: Problem,
    lines: Sequence[Line],
    *,
    has_inputs: bool,
    output_format: OutputFormat,
) -> Iterator[str]:
    """Yields a line for every line: its loss, or an object with all that is known.

    The loss is Tensor2Tensor's: the negative log-probability over the number of ids,
    the one that ends the output included. A line that cannot be read gives an empty
    line and a warning.

    Args:
      scorer: of the problem.
      problem: what inputs and outputs are.
      lines: input, tab, output; of a language model the output alone, or with a tab
        after the beginning that does not count.
      has_inputs: whether the problem has inputs.
      output_format: what a line looks like.
    """
    pairs = {line.number: _pair(scorer, problem, line, has_inputs) for line in lines}
    readable = {number: pair for number, pair in pairs.items() if pair is not None}
    found_scores = scorer.score(
        [given for given, _ in readable.values()],
        [output for _, output in readable.values()],
    )
    scores = dict(zip(readable, found_scores, strict=True))
    for line in lines:
        found = scores.get(line.number)
        if output_format == OutputFormat.JSONL:
            yield _as_json(line, found)
        else:
            yield "" if found is None else f"{_loss(found):.6f}"


def _pair(
    scorer: OutputScorer, problem: Problem, line: Line, has_inputs: bool
) -> tuple[Any, str] | None:
    """Returns input and output of a line; None if it has none that can be scored."""
    given, tab, output = line.text.partition("\t")
    if not tab:
        given, output = "", line.text
    try:
        if has_inputs and not tab:
            raise ValueError("there is no tab between an input and an output.")
        value = problem.read_input(given)
        scorer.check(value, output)
    except (OSError, ValueError) as error:
        logging.warning("Line %d: %s", line.number + 1, error)
        return None
    return value, output


def _loss(found: OutputScore) -> float:
    return -found.log_probability / found.num_ids


def _as_json(line: Line, found: OutputScore | None) -> str:
    values: dict[str, Any] = {"number": line.number + 1, "line": line.text}
    if found is not None:
        values |= found._asdict() | {"loss": _loss(found)}
    return json.dumps(values, ensure_ascii=False)
