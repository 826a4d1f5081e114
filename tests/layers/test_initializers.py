import math

import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.layers import initializers

NORMAL = initializers.normal(1.0)


def _make(name, seed=0, scope="scope", initializer=NORMAL, shape=(3, 5)):
    with initializers.seeded(seed), tf.name_scope(scope):
        return initializers.make_variable(name, shape, initializer)


def test_values_are_a_function_of_seed_and_full_name():
    kernel = _make("kernel").numpy()

    np.testing.assert_array_equal(kernel, _make("kernel"))
    assert (kernel != _make("kernel", seed=1).numpy()).all()
    assert (kernel != _make("bias").numpy()).all()
    assert (kernel != _make("kernel", scope="elsewhere").numpy()).all()


def test_variables_are_named_by_their_scopes():
    with tf.name_scope("outer/"), tf.name_scope("inner"):
        variable = initializers.make_variable("kernel", [2, 3], initializers.zeros)

    assert variable.name == "outer/inner/kernel:0"
    assert variable.trainable
    assert variable.dtype == tf.float32


def test_other_variables_do_not_change_the_value():
    alone = _make("second").numpy()

    with initializers.seeded(0), tf.name_scope("scope/"):
        initializers.make_variable("first", [7], NORMAL)
        after = initializers.make_variable("second", [3, 5], NORMAL)

    np.testing.assert_array_equal(after, alone)


def test_the_seed_holds_inside_the_context_only():
    outside = initializers.make_variable("a", [4], NORMAL).numpy()

    with pytest.raises(KeyError), initializers.seeded(9):
        raise KeyError

    again = initializers.make_variable("a", [4], NORMAL).numpy()
    np.testing.assert_array_equal(outside, again)


def test_global_seeds_do_not_matter():
    tf.random.set_seed(1)
    first = _make("kernel").numpy()
    tf.random.set_seed(2)

    np.testing.assert_array_equal(first, _make("kernel"))


def test_zeros_and_ones():
    np.testing.assert_array_equal(
        _make("a", initializer=initializers.zeros), np.zeros([3, 5])
    )
    np.testing.assert_array_equal(
        _make("a", initializer=initializers.ones), np.ones([3, 5])
    )


def test_normal_has_its_deviation():
    values = _make("a", initializer=initializers.normal(0.3), shape=(200, 300)).numpy()

    assert values.mean() == pytest.approx(0.0, abs=0.005)
    assert values.std() == pytest.approx(0.3, abs=0.005)


def test_glorot_fills_its_interval_evenly():
    glorot = initializers.glorot_uniform(7, 17)

    values = _make("a", initializer=glorot, shape=(200, 300)).numpy()

    limit = math.sqrt(6 / (7 + 17))
    assert np.abs(values).max() <= limit
    assert values.std() == pytest.approx(limit / math.sqrt(3), rel=0.01)
