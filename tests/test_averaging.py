import numpy as np
import pytest
import tensorflow as tf

from t2t_mm import averaging


def _variables():
    return [tf.Variable([1.0, 2.0], name="a"), tf.Variable([[3.0]], name="b")]


def test_averages_move_with_updates_of_their_own():
    variables = _variables()
    average = averaging.WeightAverage(variables, 0.3)
    expected = np.array([1.0, 2.0])

    for count, decay in ((1, 2 / 11), (2, 3 / 12), (3, 0.3), (4, 0.3)):
        variables[0].assign([float(count), -1.0])
        average.update(variables[:1], [tf.constant(count, tf.int64)])
        expected = decay * expected + (1 - decay) * np.array([count, -1.0])

    np.testing.assert_allclose(average.averages["a"], expected, rtol=1e-6)
    np.testing.assert_array_equal(average.averages["b"], [[3.0]])


def test_variables_have_their_averages_inside_the_context_only():
    variables = _variables()
    average = averaging.WeightAverage(variables, 0.9)
    variables[0].assign([5.0, 6.0])

    with pytest.raises(KeyboardInterrupt), average.applied(variables):
        np.testing.assert_array_equal(variables[0], [1.0, 2.0])
        raise KeyboardInterrupt

    np.testing.assert_array_equal(variables[0], [5.0, 6.0])
    np.testing.assert_array_equal(average.averages["a"], [1.0, 2.0])
    average.apply(variables)
    np.testing.assert_array_equal(variables[0], [1.0, 2.0])


def test_averages_are_not_trained():
    average = averaging.WeightAverage(_variables(), 0.9)

    assert average.trainable_variables == ()
    assert len(average.variables) == 2
