"""Sides of a comparison that cannot share a process, such as two frameworks.

Each side is a process that imports and builds, says that it is ready, and then does
what it is asked for, one piece of work at a time. While one works, the others wait.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import measure

_START = "BENCHMARK_START"  # of the process, in seconds since the epoch


def serve(facts: Mapping[str, Any], works: Mapping[str, Callable[[], Any]]) -> None:
    """Does the works that stdin names, and prints how long each took.

    Args:
      facts: what to say of this side first, for `Side.facts`.
      works: functions that return when their work is done.
    """
    _say(facts)
    for line in sys.stdin:
        start = time.perf_counter()
        works[line.strip()]()
        _say(time.perf_counter() - start)


def seconds_since_start() -> float:
    """Returns the seconds since this process was asked for."""
    return time.time() - float(os.environ[_START])


def _say(value: Any) -> None:
    print(json.dumps(value), flush=True)


class Side:
    """A process that calls `serve`; a context manager that ends it.

    Attributes:
      facts: what it said of itself.
    """

    def __init__(self, command: Sequence[str], name: str) -> None:
        """Starts the process and waits until it is ready.

        Args:
          command: what to run.
          name: of the side, for messages.

        Raises:
          RuntimeError: if it ends instead.
        """
        self._name = name
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, _START: str(time.time())},
        )
        self.facts: dict[str, Any] = self._read()

    def __enter__(self) -> "Side":
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()

    def _read(self) -> Any:
        assert self._process.stdout is not None  # for mypy: it is a pipe
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"The process of '{self._name}' ended with "
                f"{self._process.wait()} before it was done; its own message is above."
            )
        return json.loads(line)

    def seconds(self, work: str) -> float:
        """Returns how long the side takes for a piece of work."""
        assert self._process.stdin is not None  # for mypy: it is a pipe
        self._process.stdin.write(f"{work}\n")
        self._process.stdin.flush()
        return self._read()


def in_turns(
    sides: Mapping[str, Side], work: str, *, repeats: int
) -> dict[str, measure.Timing]:
    """Returns how long each side takes for a piece of work, one after the other.

    A turn begins with a call that is not timed: the other side has had the caches of
    the processor meanwhile, which no run of one side alone would meet.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            side.seconds(work)
            seconds[name].append(side.seconds(work))
    return {name: measure.Timing(tuple(values)) for name, values in seconds.items()}
