"""What a warm start did, as a table and as a file."""

import dataclasses
import enum
import itertools
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from t2t_mm.data import manifest
from t2t_mm.training.warm_start_config import WarmStartConfig

REPORT_FILE = "warm_start.json"


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


def format_rows(rows: Iterable[Row]) -> str:
    """Returns a table; variables of one scope that fared alike share a line."""
    table = [
        ("variables", "became", "number", "parameters", "from, and how or why not")
    ]
    for (action, place, note), alike in itertools.groupby(rows, _fate):
        members = list(alike)
        names = place if len(members) > 1 else members[0].name
        table.append(
            (
                names,
                str(action),
                f"{len(members)}",
                f"{sum(row.size for row in members):,}",
                " | ".join(filter(None, (_origin(members[0]), note))),
            )
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in (2, 3) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def _fate(row: Row) -> tuple[Action, str, str]:
    top = row.name.partition("/")[0]
    return row.action, f"{top}/*" if "/" in row.name else row.name, row.note


def _origin(row: Row) -> str:
    """Returns where a variable comes from, if it has another name there."""
    top, old_top = (name.partition("/")[0] for name in (row.name, row.source))
    if not row.source or row.source == row.name:
        return ""
    return f"{old_top}/*" if top != old_top else row.source
