"""Permutations that are a pure function of a name, on every machine and version."""

import hashlib

import numpy as np

_KEY_BYTES = 16  # Philox has a key of 128 bits


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
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    stream = np.random.Philox(key=int.from_bytes(digest[:_KEY_BYTES], "little"))
    return np.argsort(stream.random_raw(size), kind="stable")
