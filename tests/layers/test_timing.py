import numpy as np
import pytest
import tensorflow as tf

import goldens
import numpy_reference as reference
from t2t_mm.layers import timing


@pytest.mark.parametrize("depth", [2, 3, 6, 11])
def test_timing_is_sines_then_cosines_of_geometric_timescales(depth):
    signal = timing.timing_signal(tf.range(7), depth)

    np.testing.assert_allclose(signal, reference.timing_signal(7, depth), atol=1e-6)


def test_an_odd_depth_gets_a_channel_of_zeros():
    signal = timing.timing_signal(tf.range(1, 4), 5).numpy()

    assert (signal[:, :4] != 0).all()
    np.testing.assert_array_equal(signal[:, 4], 0)


def test_a_position_has_the_same_signal_alone_as_in_a_sequence():
    alone = timing.timing_signal(tf.constant([5]), 6)

    whole = timing.timing_signal(tf.range(8), 6)
    np.testing.assert_allclose(alone[0], whole[5], atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_timing_is_added_to_every_row(dtype):
    x = np.random.default_rng(0).normal(size=(2, 5, 6))

    y = timing.add_timing_signal(tf.constant(x, dtype))

    assert y.dtype == dtype
    tolerance = 1e-6 if dtype == "float32" else 0.03
    np.testing.assert_allclose(
        tf.cast(y, tf.float32), x + reference.timing_signal(5, 6), atol=tolerance
    )


@pytest.mark.parametrize("depth", [4, 7, 12])
def test_timing_of_two_dimensions_is_that_of_the_row_then_of_the_column(depth):
    signal = timing.timing_signal_2d(3, 5, depth)

    half = depth // 4 * 2
    for row in range(3):
        for column in range(5):
            parts = (reference.timing_signal(5, half)[i] for i in (row, column))
            expected = np.pad(np.concatenate([*parts]), (0, depth - 2 * half))
            np.testing.assert_allclose(signal[row, column], expected, atol=1e-6)


@pytest.mark.parametrize(
    "number",
    goldens.numbers_of_cases(
        "layer_timing_signal", title="n-d (2 position dimensions)"
    ),
)
def test_timing_of_two_dimensions_is_that_of_tensor2tensor(number):
    case = goldens.case("layer_timing_signal", number)
    x = case["in:x"]

    y = x + timing.timing_signal_2d(*x.shape[1:])

    case.compare("out:y", y)
