"""Running the same function on many things, in this process or in several."""

import collections
import concurrent.futures
import concurrent.futures.process
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WAITING_PER_WORKER = 2  # things that are ready for a worker, which bounds the memory


class Pool:
    """Some processes, or none: then this process does the work.

    The processes start from nothing and import what the work needs; without TensorFlow
    that takes a fraction of a second. They end at once when this process ends, however
    it does: each waits for the end of a pipe that only this process holds open.
    """

    def __init__(self, num_workers: int) -> None:
        """Starts the processes when they are first needed.

        Args:
          num_workers: how many; 1 for none beside this one.
        """
        self._num_workers = num_workers
        self._executor: concurrent.futures.ProcessPoolExecutor | None = None
        if num_workers > 1:
            context = multiprocessing.get_context("spawn")
            self._their_end, self._lifeline = context.Pipe(duplex=False)
            self._executor = concurrent.futures.ProcessPoolExecutor(
                num_workers,
                context,
                initializer=_start_worker,
                initargs=(self._their_end,),
            )

    def map(self, function: Callable[[T], R], things: Iterable[T]) -> Iterator[R]:
        """Yields the results in the order of the things, of which few wait at a time.

        Args:
          function: can be pickled, unless this process does the work; and so can
            things and results.
          things: taken as workers become free.

        Raises:
          ChildProcessError: if one of the processes was ended by somebody else.
        """
        if self._executor is None:
            yield from map(function, things)
            return
        waiting: collections.deque[concurrent.futures.Future[R]] = collections.deque()
        try:
            for thing in things:
                waiting.append(self._executor.submit(function, thing))
                if len(waiting) > WAITING_PER_WORKER * self._num_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except concurrent.futures.process.BrokenProcessPool:
            raise ChildProcessError(
                f"One of {self._num_workers} worker processes was ended from outside, "
                "as happens where there is too little memory. Try again with a smaller "
                "--num_workers; what is done need not be done again."
            ) from None

    def close(self) -> None:
        """Ends the processes when their work is done."""
        if self._executor is not None:
            self._executor.shutdown()
            self._close_pipe()

    def abandon(self) -> None:
        """Ends the processes in the middle of their work."""
        if self._executor is not None:
            self._close_pipe()
            self._executor.shutdown(cancel_futures=True)

    def _close_pipe(self) -> None:
        self._lifeline.close()
        self._their_end.close()


@contextlib.contextmanager
def pool(num_workers: int) -> Iterator[Pool]:
    """Gives a pool; ends its processes, after an error or Ctrl-C at once."""
    opened = Pool(num_workers)
    try:
        yield opened
    except BaseException:
        opened.abandon()
        raise
    opened.close()


def _start_worker(lifeline: multiprocessing.connection.Connection) -> None:
    """Leaves Ctrl-C to the process that the user sees, which ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: multiprocessing.connection.Connection) -> None:
    multiprocessing.connection.wait([lifeline])  # nobody writes: it has been closed
    os._exit(1)  # whatever is half written is found as unfinished
