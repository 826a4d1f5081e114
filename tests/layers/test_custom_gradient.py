import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.layers import custom_gradient

X = np.float32([0.5, -1.0, 2.0])


@custom_gradient.custom_gradient
def _cube(x):
    """Returns x^3, with ten times its gradient: it shows who computed it."""
    return x**3, lambda dy: 30.0 * x**2 * dy


def _gradient(function, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(function(x))
    return tape.gradient(y, x)


def _in_a_loop(x):
    return tf.while_loop(lambda i, _: i < 1, lambda i, y: (i + 1, _cube(y)), (0, x))[1]


@pytest.mark.parametrize("function", [_cube, _in_a_loop])
@pytest.mark.parametrize(
    "gradient",
    [
        _gradient,
        lambda function, x: tf.function(
            lambda x: _gradient(function, x), autograph=False
        )(x),
        lambda function, x: _gradient(tf.function(function, autograph=False), x),
    ],
    ids=["eager", "traced", "of the traced"],
)
def test_the_gradient_is_the_written_one(function, gradient):
    found = gradient(function, tf.constant(X))

    np.testing.assert_allclose(found, 30.0 * X**2, rtol=1e-6)


@pytest.mark.parametrize("function", [_cube, _in_a_loop])
def test_a_graph_goes_with_the_function_that_was_traced(function):
    traced = tf.function(lambda x: _gradient(function, x), autograph=False)
    graph = weakref.ref(traced.get_concrete_function(tf.constant(X)).graph)
    assert graph() is not None

    del traced
    gc.collect()

    assert graph() is None


def test_what_has_no_gradient_can_be_traced():
    found = tf.function(lambda: _cube(tf.constant(2.0)), autograph=False)()

    assert found == 8.0
