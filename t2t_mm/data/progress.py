"""Progress of long work: a bar on a terminal, otherwise a line now and then."""

import sys
import threading
import time

import tqdm
from absl import logging

SECONDS_BETWEEN_LOG_LINES = 5.0

# Its own is shared by processes: one that is ended leaves a semaphore, and a warning.
tqdm.tqdm.set_lock(threading.RLock())


class Progress:
    """Counts things that are done; a context manager."""

    def __init__(self, label: str, unit: str, total: int | None = None) -> None:
        """Starts at 0.

        Args:
          label: what is being done.
          unit: what is counted, in the plural.
          total: how many there are, if known.
        """
        self._label, self._unit, self._total = label, unit, total
        self._count = 0
        self._start = self._last_line = time.monotonic()
        self._bar = tqdm.tqdm(
            desc=label,
            unit=f" {unit}",
            total=total,
            leave=False,
            disable=not sys.stderr.isatty(),
        )

    def __enter__(self) -> "Progress":
        """Returns itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Ends the bar; says how many there were, unless there was an error."""
        self._bar.close()
        if error[0] is None:
            seconds = time.monotonic() - self._start
            self._log("%d %s in %.1f s", self._count, self._unit, seconds)

    def add(self, count: int) -> None:
        """Counts things that have been done."""
        self._count += count
        self._bar.update(count)
        now = time.monotonic()
        if self._bar.disable and now - self._last_line >= SECONDS_BETWEEN_LOG_LINES:
            self._last_line = now
            of_total = f" of {self._total}" if self._total else ""
            rate = self._count / (now - self._start)
            self._log("%d%s %s | %.0f/s", self._count, of_total, self._unit, rate)

    def _log(self, message: str, *values: object) -> None:
        logging.info("datagen | %s | " + message, self._label, *values)
