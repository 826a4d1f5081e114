import numpy as np
import pytest

from benchmarks import accelerator_arrays


@pytest.mark.parametrize(
    ("dtype", "fill", "expected"),
    [
        ("float32", {"value": 0.5}, [[0.5, 0.5, 0.5]] * 2),
        ("int32", {"values": [1, 2, 3, 4, 5, 6]}, [[1, 2, 3], [4, 5, 6]]),
        ("bool", {"value": False}, [[False] * 3] * 2),
    ],
)
def test_arrays_of_given_values(dtype, fill, expected):
    array = accelerator_arrays.make_array([2, 3], dtype, fill)

    assert array.dtype == dtype
    np.testing.assert_array_equal(array, expected)


def test_numbers_from_a_seed_have_the_wanted_deviation_and_are_the_same_again():
    fill = {"deviation": 0.25, "seed": 7}

    one, again = (
        accelerator_arrays.make_array([400, 50], "float32", fill) for _ in "ab"
    )
    other = accelerator_arrays.make_array([400, 50], "float32", fill | {"seed": 8})

    np.testing.assert_array_equal(one, again)
    assert one.std() == pytest.approx(0.25, rel=0.02)
    assert np.mean(one == other) < 0.01


def test_integers_from_a_seed_are_below_the_limit():
    array = accelerator_arrays.make_array([1000], "uint8", {"below": 256, "seed": 1})

    assert array.dtype == np.uint8
    assert {array.min(), array.max()} <= {*range(5), *range(251, 256)}
