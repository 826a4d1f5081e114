"""What an evaluation of one problem found, as values, as a table and as JSON."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from t2t_mm.evaluation import scores
from t2t_mm.evaluation.score import Score

_NUMBER_FORMAT = ".4f"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that an evaluation of one problem found.

    Attributes:
      problem: name of the problem.
      split: name of the split.
      checkpoint: name of the checkpoint: "ckpt-1000", or "average.ckpt-1000" of the
        folder "average".
      step: of the checkpoint.
      decode_options: how it was decoded, by name.
      max_batches: how much of the split it is of; None for all.
      scores: of decoded outputs, by name.
      metrics: of predictions that saw the true targets before each position, under
        names that say so; targets without a before, such as classes, have plain names.
    """

    problem: str
    split: str
    checkpoint: str
    step: int
    decode_options: Mapping[str, Any]
    scores: Mapping[str, Score]
    metrics: Mapping[str, float]
    max_batches: int | None = None

    def scalars(self) -> dict[str, float]:
        """Returns all numbers by name; a score has a name such as "decoded_bleu"."""
        decoded = {
            scores.DECODED + name: score.value for name, score in self.scores.items()
        }
        return decoded | dict(self.metrics)

    def to_json(self) -> dict[str, Any]:
        """Returns everything as JSON values."""
        decoded = {
            scores.DECODED + name: score.to_json()
            for name, score in self.scores.items()
        }
        return dataclasses.asdict(self) | {"scores": decoded}


def format_table(results: Sequence[Results]) -> str:
    """Returns evaluations as a table: a line per number."""
    rows: list[Sequence[str]] = [
        ("problem", "score", "value", "interval", "better", "how")
    ]
    for entry in results:
        for name, score in entry.scores.items():
            value = score.format(score.value)
            better = "higher" if score.higher_is_better else "lower"
            name = scores.DECODED + name
            interval = score.format_interval()
            rows.append((entry.problem, name, value, interval, better, score.signature))
        for name, number in entry.metrics.items():
            rows.append(
                (entry.problem, name, format(number, _NUMBER_FORMAT), *[""] * 3)
            )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # Text to the left, the value to the right.
    lines = (
        f"{problem:<{widths[0]}}  {name:<{widths[1]}}  {value:>{widths[2]}}  "
        f"{interval:<{widths[3]}}  {better:<{widths[4]}}  {signature}"
        for problem, name, value, interval, better, signature in rows
    )
    return "\n".join(line.rstrip() for line in lines)
