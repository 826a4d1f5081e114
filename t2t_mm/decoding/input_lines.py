"""Lines of input: of a file, of a folder of files, or of a stream as they come."""

import codecs
import os
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from absl import logging

LINES_AT_A_TIME = 1024  # are read and decoded together, the short beside the short


class Line(NamedTuple):
    """One input.

    Attributes:
      number: how many lines are before it.
      text: what it says: a text, or the path of an image or a sound.
    """

    number: int
    text: str


def of_file(path: str) -> list[Line]:
    """Returns the lines of a file, or the paths of the files in a folder.

    Raises:
      OSError: if it cannot be read.
    """
    if os.path.isdir(path):
        lines = [Line(n, file) for n, file in enumerate(_files(path))]
    else:
        with open(path, "rb") as file:
            lines = of_bytes(file)
    if not lines:
        what = "files" if os.path.isdir(path) else "lines"
        logging.warning("'%s' has no %s, so there is nothing to decode.", path, what)
    return lines


def _files(folder: str) -> list[str]:
    return sorted(
        entry.path
        for entry in os.scandir(folder)
        if entry.is_file() and not entry.name.startswith(".")
    )


def of_bytes(lines: Iterable[bytes]) -> list[Line]:
    """Returns lines of UTF-8.

    Only a newline ends a line: text may hold other separators, such as U+2028.
    """
    return [Line(number, _decode(line, number)) for number, line in enumerate(lines)]


def _decode(line: bytes, number: int) -> str:
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    if number == 0:
        line = line.removeprefix(codecs.BOM_UTF8)
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        logging.warning(
            "Line %d: what is not UTF-8 is read as U+FFFD, the sign for that.",
            number + 1,
        )
        return line.decode("utf-8", errors="replace")


def of_stream(stream: Iterable[bytes]) -> Iterator[list[Line]]:
    """Yields the lines of a stream: those that have come while nobody asked.

    A line that comes alone is not held back until there are more.

    Raises:
      OSError: if the stream cannot be read, after the lines before.
    """
    waiting: queue.Queue[Line | None] = queue.Queue(2 * LINES_AT_A_TIME)
    errors: list[OSError] = []

    def read() -> None:
        try:
            for number, line in enumerate(stream):
                waiting.put(Line(number, _decode(line, number)))
        except OSError as error:
            errors.append(error)
        waiting.put(None)

    threading.Thread(target=read, daemon=True).start()
    yield from _groups_of_queue(waiting)
    if errors:
        raise errors[0]


def _groups_of_queue(waiting: "queue.Queue[Line | None]") -> Iterator[list[Line]]:
    """Yields the lines that wait together, up to a None."""
    line = waiting.get()
    while line is not None:
        lines = [line]
        while len(lines) < LINES_AT_A_TIME and not waiting.empty():
            line = waiting.get()
            if line is None:
                yield lines
                return
            lines.append(line)
        yield lines
        line = waiting.get()


def in_groups(lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
    """Yields so many lines that not too much is in memory: images may be large."""
    for start in range(0, len(lines), LINES_AT_A_TIME):
        yield lines[start : start + LINES_AT_A_TIME]
