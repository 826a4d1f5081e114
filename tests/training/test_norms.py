import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.training import norms


def _modules():
    names = ("model/a/kernel", "model/b/x/bias", "model/a/bias", "model/commands")
    return norms.Modules([tf.Variable(tf.zeros([2]), name=name) for name in names])


def test_norms_are_those_of_all_variables_of_a_module_together():
    values = [np.array(v, np.float32) for v in ([3, 0], [1, 2], [4, 0], [6, 8])]

    by_name = _modules().by_name(_modules().norms([(v**2).sum() / 2 for v in values]))

    expected = {"a": 5.0, "b": np.sqrt(5.0), "commands": 10.0}
    assert by_name == pytest.approx(expected)


def test_variables_without_a_gradient_count_as_zero():
    by_name = _modules().by_name(_modules().norms([None, 12.5, None, None]))

    assert by_name == {"a": 0.0, "b": 5.0, "commands": 0.0}
