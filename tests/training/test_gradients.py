import numpy as np
import pytest
import tensorflow as tf

import goldens
from t2t_mm.training import gradients as gradients_lib
from t2t_mm.training.gradients import Gradient

PAIR = [
    Gradient(tf.constant([3.0, 0.0])),
    None,
    Gradient(tf.constant([[0.0, 4.0]]), tf.constant([0])),
]


def _clip(gradients, largest):
    norm = _global_norm(gradients)
    return gradients_lib.clip(gradients, norm, largest), norm


def _global_norm(gradients):
    values = [None if g is None else g.values for g in gradients]
    return gradients_lib.global_norm(gradients_lib.half_squares(values))


def test_gradients_are_scaled_to_the_largest_norm():
    clipped, norm = _clip(PAIR, 2.0)

    assert norm == 5.0
    np.testing.assert_allclose(clipped[0].values, [1.2, 0.0], rtol=1e-6)
    assert clipped[1] is None
    np.testing.assert_allclose(clipped[2].values, [[0.0, 1.6]], rtol=1e-6)
    np.testing.assert_array_equal(clipped[2].rows, [0])


@pytest.mark.parametrize("largest", [0.0, 5.0, 7.0])
def test_gradients_below_the_largest_norm_are_left_alone(largest):
    clipped, norm = _clip(PAIR, largest)

    assert norm == 5.0
    np.testing.assert_array_equal(clipped[0].values, [3.0, 0.0])
    assert clipped[1] is None


@pytest.mark.parametrize("largest", [2.0, 7.0])
def test_large_gradients_are_clipped_like_small_ones(monkeypatch, largest):
    small, _ = _clip(PAIR, largest)
    monkeypatch.setattr(gradients_lib, "_SMALL", 0)

    large, _ = tf.function(lambda: _clip(PAIR, largest), autograph=False)()

    for one, other in zip(large, small, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one.values, other.values)


@pytest.mark.parametrize(("case", "largest"), [(0, 2.0), (1, 2.0), (2, 0.5)])
def test_clipping_is_that_of_tensor2tensor(case, largest):
    arrays = goldens.read("gradient_clipping_and_weight_decay")
    given = [Gradient(tf.constant(arrays[f"c{case}:in:grad{i}"])) for i in range(3)]

    clipped, norm = _clip(given, largest)

    np.testing.assert_allclose(norm, arrays[f"c{case}:out:global_norm"], rtol=1e-5)
    for i, gradient in enumerate(clipped):
        np.testing.assert_allclose(
            gradient.values, arrays[f"c{case}:out:clipped{i}"], rtol=1e-5
        )


def test_rows_that_a_batch_repeats_are_summed_before_they_are_squared():
    slices = tf.IndexedSlices(tf.constant([[3.0], [1.0]]), tf.constant([2, 2]), [5, 1])

    gradient = gradients_lib.from_tape(slices)

    assert _global_norm([gradient]) == 4.0
    np.testing.assert_array_equal(gradient.rows, [2, 2])


def test_sums_keep_rows_where_both_have_some():
    rows = Gradient(tf.constant([[1.0], [0.0]]), tf.constant([0]))
    other_rows = Gradient(tf.constant([[0.0], [2.0]]), tf.constant([1]))
    dense = Gradient(tf.constant([[5.0], [6.0]]))

    of_rows, mixed, alone, none = gradients_lib.add(
        [rows, rows, None, None], [other_rows, dense, dense, None]
    )

    np.testing.assert_array_equal(of_rows.values, [[1.0], [2.0]])
    np.testing.assert_array_equal(of_rows.rows, [0, 1])
    np.testing.assert_array_equal(mixed.values, [[6.0], [6.0]])
    assert mixed.rows is None
    assert alone is dense
    assert none is None


def test_scaling_keeps_what_is_missing():
    scaled = gradients_lib.scale(PAIR, tf.constant(2.0))

    np.testing.assert_array_equal(scaled[0].values, [6.0, 0.0])
    assert scaled[1] is None
