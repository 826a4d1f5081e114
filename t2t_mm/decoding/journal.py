"""Outputs on disk as they come, so that decoding that was cut short can go on."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from t2t_mm.decoding.hypothesis import Hypothesis


class Journal:
    """A file beside the one that is to be made, with every output so far.

    Its first line says what is decoded and how. A journal of something else is begun
    anew.

    Attributes:
      known: outputs by number of the input.
    """

    def __init__(self, path: str, settings: Mapping[str, Any]) -> None:
        """Opens the journal of a file, and reads what there is.

        Args:
          path: the file that is to be made.
          settings: all that the outputs depend on, as JSON has it.

        Raises:
          OSError: if the folder cannot be written.
        """
        self._target = path
        self._path = f"{path}.partial"
        header = json.dumps(settings, sort_keys=True)
        self.known = dict(self._read(header))
        if self.known:
            logging.info(
                "'%s' has %d outputs; going on after them.",
                self._path,
                len(self.known),
            )
        # Written anew: a line that was cut short goes.
        with open(f"{self._path}.new", "w", encoding="utf-8") as file:
            file.write(header + "\n")
            for number, results in self.known.items():
                file.write(_entry(number, results))
        os.replace(f"{self._path}.new", self._path)
        self._file = open(self._path, "a", encoding="utf-8")

    def _read(self, header: str) -> Iterator[tuple[int, Sequence[Hypothesis]]]:
        if not os.path.exists(self._path):
            return
        with open(self._path, encoding="utf-8", errors="replace") as file:
            if file.readline() != header + "\n":
                logging.warning(
                    "'%s' is of other inputs, another checkpoint or other options; "
                    "it is begun anew.",
                    self._path,
                )
                return
            for line in file:
                if not line.endswith("\n"):
                    return  # cut short
                number, results = json.loads(line)
                yield number, [Hypothesis(*result) for result in results]

    def add(self, number: int, results: Sequence[Hypothesis]) -> None:
        """Keeps the outputs of an input."""
        self.known[number] = results
        self._file.write(_entry(number, results))
        self._file.flush()

    def finish(self, lines: Iterator[str]) -> None:
        """Writes the file, whole or not at all, and removes the journal."""
        whole = f"{self._target}.whole"
        with open(whole, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(line + "\n" for line in lines)
        os.replace(whole, self._target)
        self.close()
        os.remove(self._path)

    def close(self) -> None:
        """Closes the file; what was added stays."""
        self._file.close()


def _entry(number: int, results: Sequence[Hypothesis]) -> str:
    return json.dumps([number, results], ensure_ascii=True) + "\n"
