"""Outputs as lines of a file: text, or JSON with all that is known of them."""

import enum
import json
import re
from collections.abc import Sequence
from typing import Any

from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.decoding.hypothesis import Hypothesis

# Whatever some reader takes for the end of a line.
_LINE_ENDS = re.compile("\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]")
_NOT_UTF8 = re.compile("[\ud800-\udfff]")  # as Python reads such names of files


class OutputFormat(enum.StrEnum):
    """How an answer is written on one line."""

    TEXT = "text"
    JSONL = "jsonl"


def one_line(text: str) -> str:
    """Returns a text with spaces where lines end."""
    return _LINE_ENDS.sub(" ", text)


def as_text(
    before: Sequence[str], results: Sequence[Hypothesis], config: DecodeConfig
) -> str:
    """Returns texts with tabs between: some others, then the outputs.

    With `write_beam_scores`, the score of each output follows it.

    Args:
      before: what stands before the outputs, such as a reference.
      results: the outputs; none give one empty text.
      config: how they were decoded.
    """
    columns = list(before)
    for result in results:
        columns.append(result.text)
        if config.write_beam_scores:
            columns.append("" if result.score is None else f"{result.score:.4f}")
    if not results:
        columns.append("")
    if len(columns) > 1:
        columns = [column.replace("\t", " ") for column in columns]
    return _writable(one_line("\t".join(columns)))


def as_json(about: dict[str, Any], results: Sequence[Hypothesis]) -> str:
    """Returns an object: what is said about the input, the output, and all results.

    Args:
      about: such as the input.
      results: the outputs; none are an `output` of "" and no `results`.
    """
    found = [
        {"output": result.text, "score": result.score, "ids": result.ids}
        | ({} if result.attention is None else {"attention": result.attention})
        for result in results
    ]
    output = results[0].text if results else ""
    values = about | {"output": output, "results": found}
    return _writable(json.dumps(values, ensure_ascii=False))


def _writable(text: str) -> str:
    """Returns a text with U+FFFD for what UTF-8 cannot write."""
    return _NOT_UTF8.sub("\ufffd", text)
