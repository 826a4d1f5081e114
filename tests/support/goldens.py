"""Arrays computed with Tensor2Tensor, where a machine has them."""

import os
import pathlib

import numpy as np
import pytest

_VARIABLE = "T2T_MM_GOLDENS"
_DEFAULT = pathlib.Path(__file__).resolve().parents[3] / "shared" / "goldens"


def read(name):
    """Returns the arrays of one file, or skips the test if there is none."""
    path = pathlib.Path(os.environ.get(_VARIABLE, _DEFAULT)) / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"needs {path.name}, in the folder ${_VARIABLE}")
    return np.load(path)
