"""Batches that are decoded at the same time, their results in order.

A search waits for itself: each of its steps has hundreds of operations that are too
small for more than one core. Searches of other batches find work for the other cores.
"""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import TypeVar

from t2t_mm.layers import compilation

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 8  # by default: every search has caches in memory


def default_number() -> int:
    """Returns how many batches to decode at once.

    Without a GPU that is one for each core, and one that turns ids into texts or waits.
    """
    if compilation.has_accelerator():
        return 1  # one search after the other is what such a device runs anyway
    return min(MOST, len(os.sched_getaffinity(0)) + 1)


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, number: int
) -> Iterator[Result]:
    """Yields the result of each item, in the order of the items.

    Args:
      work: is called in several threads if `number` is above 1. An error in it is
        raised when its result would have been yielded.
      items: taken in the thread that asks for results, `number` and one more ahead; an
        error there is raised after the results of the items before.
      number: how many items are worked on at the same time.
    """
    if number == 1:
        yield from map(work, items)
        return
    waiting: collections.deque[futures.Future[Result]] = collections.deque()
    failure: Exception | None = None
    source = iter(items)
    with futures.ThreadPoolExecutor(number, thread_name_prefix="decode") as threads:
        try:
            while True:
                try:
                    item = next(source)
                except StopIteration:
                    break
                except Exception as error:  # after the results of the items before
                    failure = error
                    break
                waiting.append(threads.submit(work, item))
                # One more than there are threads, so that none waits for the reader.
                if len(waiting) > number:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # nobody asks any more, or there was an error
            for future in waiting:
                future.cancel()
    if failure is not None:
        raise failure
