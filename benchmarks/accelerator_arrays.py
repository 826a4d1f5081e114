"""Arrays from seeds, the same ones wherever NumPy is: for programs that travel."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def make_array(shape: Sequence[int], dtype: str, fill: Mapping[str, Any]) -> np.ndarray:
    """Returns what a description says.

    Args:
      shape: of the array.
      dtype: of the array.
      fill: `value` for a constant; `deviation` and `seed` for normally distributed
        numbers; `below` and `seed` for integers; `values` for all of them.
    """
    if "values" in fill:
        return np.array(fill["values"], dtype).reshape(shape)
    if "value" in fill:
        return np.full(shape, fill["value"], dtype)
    random = np.random.default_rng(fill["seed"])
    if "below" in fill:
        return random.integers(0, fill["below"], shape).astype(dtype)
    numbers = random.standard_normal(shape, np.float32)
    return (numbers * np.float32(fill["deviation"])).astype(dtype)
