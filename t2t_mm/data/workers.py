"""Running the same function on many things, in this process or in several."""

import collections
import concurrent.futures
import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

WAITING_PER_WORKER = 2  # things that are ready for a worker, which bounds the memory


class Pool:
    """Some processes, or none: then this process does the work.

    The processes start from nothing and import what the work needs; without TensorFlow
    that takes a fraction of a second.
    """

    def __init__(self, num_workers: int) -> None:
        """Starts the processes when they are first needed.

        Args:
          num_workers: how many; 1 for none beside this one.
        """
        self._num_workers = num_workers
        self._executor: concurrent.futures.ProcessPoolExecutor | None = None
        if num_workers > 1:
            self._executor = concurrent.futures.ProcessPoolExecutor(
                num_workers,
                multiprocessing.get_context("spawn"),
                initializer=_ignore_interrupts,
            )

    def map(self, function: Callable[[T], R], things: Iterable[T]) -> Iterator[R]:
        """Yields the results in the order of the things, of which few wait at a time.

        Args:
          function: can be pickled, unless this process does the work; and so can
            things and results.
          things: taken as workers become free.
        """
        if self._executor is None:
            yield from map(function, things)
            return
        waiting: collections.deque[concurrent.futures.Future[R]] = collections.deque()
        for thing in things:
            waiting.append(self._executor.submit(function, thing))
            if len(waiting) > WAITING_PER_WORKER * self._num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def close(self) -> None:
        """Ends the processes; work that has not begun is dropped."""
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)


@contextlib.contextmanager
def pool(num_workers: int) -> Iterator[Pool]:
    """Gives a pool and closes it."""
    opened = Pool(num_workers)
    try:
        yield opened
    finally:
        opened.close()


def _ignore_interrupts(*_: Any) -> None:
    """Leaves Ctrl-C to the process that the user sees, which ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
