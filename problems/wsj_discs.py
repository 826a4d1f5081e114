"""The discs of the Wall Street Journal corpus (LDC93S6A/B and LDC94S13A/B)."""

import functools
import os
import pathlib
import re
from collections.abc import Iterator
from typing import NamedTuple

MAX_DEPTH = 3  # of disc folders below the user's path

_DISC = re.compile(r"(11|13)[-_.](\d+)[-_.](\d+)")
_LINE = re.compile(r"([0-9_.-]+)\s*:\s*/?(\S+)")
_KEY_LENGTH = 6  # of "011c02", which begins the names of a session's files


class Line(NamedTuple):
    """A line of an index list: the disc as "11-1.1", and the file on it."""

    disc: str
    file: str


class Discs:
    """Folders of discs, whatever the case of the names in them.

    A disc is a folder such as `11-1.1`, at most `MAX_DEPTH` below the root. Where there
    is none, all discs may lie in one folder, as `wsj0` and `wsj1`.

    Attributes:
      root: the user's path.
      folders: the folder of each disc.
    """

    def __init__(self, root: str) -> None:
        """Looks for the discs below `root`."""
        self.root = root
        self.folders = dict(sorted(_find_discs(root, MAX_DEPTH)))
        self._is_merged = not self.folders and any(
            self._in_folder(root, name) for name in ("wsj0", "wsj1")
        )

    def has(self, disc: str) -> bool:
        """Returns whether a disc is there."""
        return self._is_merged or disc in self.folders

    def find(self, disc: str, file: str, ending: str = "") -> pathlib.Path | None:
        """Returns a file of a disc, if it is there.

        Args:
          disc: such as "11-1.1".
          file: its path on the disc.
          ending: is added where the name lacks it.
        """
        folder = self.root if self._is_merged else self.folders.get(disc)
        if folder is None:
            return None
        found = self._in_folder(folder, file)
        if found is None and ending:
            found = self._in_folder(folder, file + ending)
        return None if found is None else pathlib.Path(found)

    def _in_folder(self, folder: str, file: str) -> str | None:
        path = folder
        for part in file.split("/"):
            name = _names(path).get(part.lower())
            if name is None:
                return None
            path = os.path.join(path, name)
        return path

    def transcripts(self) -> dict[str, pathlib.Path]:
        """Returns the .dot files by the session that they belong to."""
        found: dict[str, pathlib.Path] = {}
        for root in self.folders.values() or [self.root]:
            for folder, folders, names in os.walk(root):
                folders.sort()
                for name in sorted(names):
                    session, dot, _ = name.lower().partition(".dot")
                    if dot:  # the same on several discs
                        path = pathlib.Path(folder, name)
                        found.setdefault(session[:_KEY_LENGTH], path)
        return found


def session_of(utterance: str) -> str:
    """Returns the session that an utterance belongs to."""
    return utterance[:_KEY_LENGTH]


def parse_list(content: str) -> Iterator[Line]:
    """Yields the lines of an index list: `11_1_1:wsj0/si_tr_s/011/011c0201.wv1`.

    Raises:
      ValueError: if a line is something else and no comment.
    """
    for line in content.split("\n"):
        if not line.strip() or line.startswith(";"):
            continue
        match = _LINE.fullmatch(line.strip())
        disc = match and _disc_name(match[1])
        if not match or not disc:
            raise ValueError(
                "A line of an index list must be as "
                f"'11_1_1:wsj0/si_tr_s/011/011c0201.wv1'; got '{line.strip()}'."
            )
        yield Line(disc, match[2])


def _disc_name(text: str) -> str | None:
    match = _DISC.fullmatch(text)
    return f"{match[1]}-{match[2]}.{match[3]}" if match else None


def _find_discs(root: str, depth: int) -> Iterator[tuple[str, str]]:
    for name in sorted(os.listdir(root) if os.path.isdir(root) else ()):
        path = os.path.join(root, name)
        disc = _disc_name(name)
        if disc and os.path.isdir(path):
            yield disc, path
        elif depth > 1 and os.path.isdir(path):
            yield from _find_discs(path, depth - 1)


@functools.lru_cache(maxsize=64)
def _names(folder: str) -> dict[str, str]:
    """Returns the names in a folder by the names in small letters, without versions."""
    if not os.path.isdir(folder):
        return {}
    # Some copies of discs have names such as "011C0201.WV1;1".
    return {name.lower().split(";")[0]: name for name in sorted(os.listdir(folder))}
