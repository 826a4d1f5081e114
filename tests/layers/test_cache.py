import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.layers import cache, compilation


@pytest.mark.parametrize("has_slice_operator", [True, False])
@pytest.mark.parametrize("for_xla", [False, True])
@pytest.mark.parametrize("axis", [1, 2])
def test_a_position_is_written_and_the_others_stay(
    axis, for_xla, has_slice_operator, monkeypatch
):
    if not has_slice_operator:
        monkeypatch.setattr(cache, "xla", None)
    old = np.random.default_rng(0).normal(size=[2, 5, 4, 3]).astype(np.float32)
    new = np.ones_like(old).take([0], axis)
    expected = old.copy()
    expected[(slice(None),) * axis + (2,)] = 1.0
    kept = tf.constant(old)

    @tf.function(jit_compile=for_xla or None, autograph=False)
    def write(index):
        with compilation.tracing_for_xla(for_xla):
            return cache.write(kept, tf.constant(new), index, axis=axis)

    np.testing.assert_array_equal(write(tf.constant(2)), expected)
    np.testing.assert_array_equal(kept, old)
