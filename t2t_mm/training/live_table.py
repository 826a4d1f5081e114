"""Lines at the bottom of a terminal that are written over and over.

Plain control sequences: nothing runs beside the loop, and nothing is installed for it.
Log lines go above the table.
"""

import logging as standard_logging
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

from absl import logging

_CLEAR_LINE = "\r\x1b[K"
_UP = "\x1b[1A"


class LiveTable:
    """A few lines that `draw` replaces; nothing at all if nobody is at a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Prepares to write to `stream`, stderr if None."""
        self._stream = stream or sys.stderr
        self.is_shown = self._stream.isatty()
        self._height = 0
        if self.is_shown:
            logging.get_absl_handler().addFilter(self._make_room)

    def _make_room(self, record: standard_logging.LogRecord) -> bool:
        """Clears the lines before something is logged; the next `draw` is below it."""
        del record
        self.clear()
        return True

    def draw(self, lines: Sequence[str]) -> None:
        """Replaces the lines by others, cut to the width of the terminal."""
        if not self.is_shown:
            return
        size = shutil.get_terminal_size()
        lines = _fitting(lines, size.lines - 1)
        text = "\n".join(line[: size.columns - 1] for line in lines)
        self._stream.write(self._clearing() + text)
        self._stream.flush()
        self._height = len(lines)

    def clear(self) -> None:
        """Takes the lines away."""
        if self._height:
            self._stream.write(self._clearing())
            self._stream.flush()
            self._height = 0

    def _clearing(self) -> str:
        return _CLEAR_LINE + (_UP + _CLEAR_LINE) * max(0, self._height - 1)


def _fitting(lines: Sequence[str], most: int) -> list[str]:
    """Returns the lines, or as many as there is room for and a remark."""
    if len(lines) <= most:
        return list(lines)
    kept = max(1, most - 1)
    return [*lines[:kept], f"and {len(lines) - kept} more"]
