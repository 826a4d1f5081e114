"""What a warm start did, as a table and as a file."""

import dataclasses
import enum
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from t2t_mm.data import manifest
from t2t_mm.training.warm_start_config import WarmStartConfig

REPORT_FILE = "warm_start.json"
_HEADINGS = ("variables", "became", "number", "parameters", "from; how, or why not")
_NUMBERS = (2, 3)  # columns


class Action(enum.StrEnum):
    """What becomes of a variable."""

    LOADED = "loaded"
    REMAPPED = "remapped"  # its ids go with others
    RESIZED = "resized"
    SKIPPED = "skipped"
    MISMATCHED = "mismatched"
    LEFT_BEHIND = "left behind"  # of the other run


class Row(NamedTuple):
    """What became of a variable.

    Attributes:
      name: without the model's.
      action: what became of it.
      size: how many numbers it holds.
      source: name in the other run, whether or not it was taken over.
      note: how, or why not.
    """

    name: str
    action: Action
    size: int
    source: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """What a warm start did.

    Attributes:
      path: prefix of the checkpoint's files.
      stored_step: its step.
      first_step: step at which the new run begins.
      config: what was asked for.
      are_averages: whether the weights are moving averages of the other run's.
      rows: one for every variable, those left behind last.
    """

    path: str
    stored_step: int
    first_step: int
    config: WarmStartConfig
    are_averages: bool
    rows: Sequence[Row]

    def lines(self) -> list[str]:
        """Returns the lines of a table."""
        weights = "averaged weights" if self.are_averages else "weights"
        state = "kept" if self.config.optimizer else "new"
        return [
            f"warm start | {weights} of step {self.stored_step} from {self.path}",
            f"warm start | begins at step {self.first_step}; optimizer: {state} state",
            *format_rows(self.rows).split("\n"),
        ]

    def write(self, output_dir: str) -> None:
        """Writes `warm_start.json`, which names every variable."""
        fields: dict[str, Any] = dataclasses.asdict(self)
        fields["rows"] = [row._asdict() for row in self.rows]
        text = json.dumps(fields, indent=1) + "\n"
        manifest.write_atomically(os.path.join(output_dir, REPORT_FILE), text.encode())


def format_rows(rows: Iterable[Row], most: int | None = None) -> str:
    """Returns a table; variables of one scope that fared alike share a line.

    Args:
      rows: what became of the variables.
      most: number of lines after which the rest is only counted; None for all.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(_fate(row), []).append(row)
    table = [_HEADINGS, *(_cells(group) for group in groups.values())]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if column in _NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]
    if most is not None and len(lines) > most + 1:
        lines[most + 1 :] = [f"... and {len(lines) - most - 1} more lines"]
    return "\n".join(lines)


def _cells(group: Sequence[Row]) -> tuple[str, ...]:
    """Returns the cells of a line for variables that fared alike."""
    first = group[0]
    top, _, rest = first.name.partition("/")
    return (
        f"{top}/*" if rest and len(group) > 1 else first.name,
        str(first.action),
        f"{len(group)}",
        f"{sum(row.size for row in group):,}",
        " | ".join(filter(None, (_origin(first), first.note))),
    )


def _fate(row: Row) -> tuple[str, ...]:
    """Returns what variables share that share a line."""
    return row.name.partition("/")[0], row.action, _origin(row), row.note


def _origin(row: Row) -> str:
    """Returns where a variable comes from, if it has another name there."""
    top, old_top = (name.partition("/")[0] for name in (row.name, row.source))
    if not row.source or row.source == row.name:
        return ""
    return f"{old_top}/*" if top != old_top else row.source
