"""Arrays computed with Tensor2Tensor, and how far ours are from them.

The folder is named by $T2T_MM_GOLDENS; small files are also copied to tests/goldens.
Sizes and tolerances come from the index in the folder.
"""

import dataclasses
import functools
import json
import os
import pathlib

import numpy as np
import pytest

_VARIABLE = "T2T_MM_GOLDENS"
_TESTS = pathlib.Path(__file__).resolve().parents[1]
_DEFAULT = _TESTS.parents[1] / "shared" / "goldens"
_FOLDERS = (pathlib.Path(os.environ.get(_VARIABLE, _DEFAULT)), _TESTS / "goldens")

# Known by name, so that a machine without them reports what it skips.
WHOLE_MODELS = (
    "mm1p8_audio_spectral_to_symbol_c3",
    "mm1p8_audio_spectral_to_symbol_c8",
    "mm1p8_audio_waveform_to_symbol_c3",
    "mm1p8_image_to_class_label_2d",
    "mm1p8_image_to_symbol",
    "mm1p8_small_image_to_class_label",
    "mm1p8_symbol_to_class_label",
    "mm1p8_symbol_to_symbol_nopad",
    "mm1p8_symbol_to_symbol_padded",
    "mm1p8_symbol_to_symbol_shared",
    "mmbase_image_to_class_label_2d",
    "mmbase_image_to_symbol",
    "mmbase_symbol_to_symbol_nopad",
    "mmbase_symbol_to_symbol_padded",
    "transformer_postnorm_separate",
    "transformer_prenorm_shared",
    "transformer_relative",
)
ERRORS = []  # (label, (largest absolute error, error over rms, error over allowed))


@functools.cache
def _index():
    entries = {}
    for folder in reversed(_FOLDERS):
        path = folder / "goldens.json"
        if path.exists():
            fixtures = json.loads(path.read_text())["fixtures"]
            entries |= {entry["name"]: (folder, entry) for entry in fixtures}
    return entries


def names(prefix):
    """Returns the fixtures of whole models whose name starts with `prefix`.

    Without the index, they are those that are known, to be skipped.
    """
    return sorted(
        {name for name in (*_index(), *WHOLE_MODELS) if name.startswith(prefix)}
    )


def cases(name):
    """Returns the parameters of a bundle's cases; none if there is no such bundle."""
    return _index()[name][1]["cases"] if name in _index() else []


def numbers_of_cases(name, **wanted):
    """Returns the numbers of a bundle's cases whose parameters include `wanted`.

    Without the bundle that is 0, to be skipped.
    """
    numbers = [
        case["case"]
        for case in cases(name)
        if all(case.get(key) == value for key, value in wanted.items())
    ]
    return numbers or [0]


def read(name):
    """Returns the arrays of one file, or skips the test if there is none."""
    for folder in _FOLDERS:
        if (folder / f"{name}.npz").exists():
            return np.load(folder / f"{name}.npz")
    pytest.skip(f"needs {name}.npz, in the folder ${_VARIABLE}")


@dataclasses.dataclass
class Fixture:
    """One computation of the original.

    Attributes:
      name: of the file.
      entry: what the index says about it: `hparams`, `tolerance`, or, for a case of a
        bundle, the case's parameters.
      arrays: by "in:NAME", "act:NAME", "out:NAME", "loss:NAME".
      variables: by original name.
      tolerance: of the index.
    """

    name: str
    entry: dict
    arrays: dict
    variables: dict
    tolerance: dict

    def __getitem__(self, key):
        return self.arrays[key]

    def __contains__(self, key):
        return key in self.arrays

    def compare(self, key, actual, *, kind="relative_to_rms", mask=None):
        """Checks our array against `arrays[key]`, whatever axes of 1 either has.

        Args:
          key: of the golden array.
          actual: our array, of as many elements.
          kind: entry of `tolerance`; one that says "absolute" is absolute.
          mask: bool, which elements to compare; None for all.
        """
        expected = np.asarray(self.arrays[key], np.float64)
        compare(
            f"{self.name}: {key}",
            np.asarray(actual, np.float64).reshape(expected.shape),
            expected,
            self.tolerance[kind],
            absolute="absolute" in kind,
            mask=mask,
        )


def compare(label, actual, expected, allowed, *, absolute=False, mask=None):
    """Checks that no element is further from the golden one than `allowed`.

    The error is the largest difference, over the root mean square of the golden array
    unless `absolute`.
    """
    if mask is not None:
        actual, expected = actual[mask], expected[mask]
    difference = float(np.abs(actual - expected).max(initial=0.0))
    rms = float(np.sqrt(np.mean(np.square(expected)))) if expected.size else 0.0
    error = difference if absolute else difference / max(rms, 1e-12)
    relative = difference / max(rms, 1e-12)
    ERRORS.append((label, (difference, relative, error / allowed)))
    assert error <= allowed, f"{label}: {error:.3g} > {allowed:.3g}"


def by_fixture():
    """Returns the errors of all comparisons so far, by fixture."""
    found = {}
    for label, errors in ERRORS:
        found.setdefault(label.partition(":")[0].partition("[")[0], []).append(errors)
    return dict(sorted(found.items()))


def _split(arrays, prefix):
    """Separates variables from other arrays, of one case or of a whole file."""
    marks = tuple(f"{prefix}{mark}:" for mark in ("in", "act", "out", "loss", "decode"))
    others = {
        key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(marks)
    }
    start = f"{prefix}var:"
    variables = {
        key.removeprefix(start): arrays[key] for key in arrays if key.startswith(start)
    }
    return others, variables


def fixture(name):
    """Returns a whole model's fixture, or skips the test if there is none."""
    arrays = read(name)
    entry = _index()[name][1]
    return Fixture(name, entry, *_split(arrays, ""), entry["tolerance"])


def case(name, number):
    """Returns one case of a bundle, or skips the test if there is none."""
    arrays = read(name)
    entry = _index()[name][1]
    (parameters,) = [c for c in entry["cases"] if c["case"] == number]
    tolerance = dict(entry["tolerance"])
    hint = parameters.get("tolerance_hint")
    if hint:
        tolerance["relative_to_rms"] = float(hint.partition(":")[0])
    return Fixture(
        f"{name}[{number}]", parameters, *_split(arrays, f"c{number}:"), tolerance
    )
