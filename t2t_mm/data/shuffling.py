"""Random orders that are a pure function of names, on every machine and version."""

import hashlib

import numpy as np

_KEY_BYTES = 16  # Philox has a key of 128 bits
_NUMBERS_PER_COUNT = 4  # Philox makes four numbers for every value of its counter


def _stream(key: tuple[object, ...], counter: int = 0) -> np.random.Philox:
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    philox_key = int.from_bytes(digest[:_KEY_BYTES], "little")
    return np.random.Philox(key=philox_key, counter=counter)


def permutation(size: int, *key: object) -> np.ndarray:
    """Returns the numbers 0 to `size - 1` in an order that `key` decides.

    Sorts the raw stream of a counter-based generator: NumPy keeps that stream for
    ever, but not what `Generator.permutation` makes of it.

    Args:
      size: how many numbers.
      *key: seed, names and counters; different ones give unrelated orders.

    Returns:
      `[size]` int64.
    """
    return np.argsort(_stream(key).random_raw(size), kind="stable")


def sort_keys(start: int, count: int, *key: object) -> np.ndarray:
    """Returns what to sort things number `start` to `start + count - 1` by.

    Each thing has a random number of its own, whoever asks for it and in whichever
    pieces; sorting by them shuffles without knowing how many things there are.

    Args:
      start: number of the first thing.
      count: how many things.
      *key: seed and names; different ones give unrelated orders.

    Returns:
      `[count]` uint64.
    """
    counter, skipped = divmod(start, _NUMBERS_PER_COUNT)
    return _stream(key, counter).random_raw(skipped + count)[skipped:]
