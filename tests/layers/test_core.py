import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
import tiny_models
from t2t_mm.layers import compilation, core

RANDOM = np.random.default_rng(0)


def _random(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("leading", [(2,), (2, 3), (2, 3, 4)])
def test_dense_maps_the_last_axis(leading):
    dense = tiny_models.perturb(core.Dense(5, 7, name="dense"))
    x = _random(*leading, 5)

    y = dense(tf.constant(x))

    expected = x @ dense.kernel.numpy() + dense.bias.numpy()
    np.testing.assert_allclose(y, expected, atol=1e-5)
    assert y.shape == (*leading, 7)


def test_dense_without_bias_has_a_kernel_only():
    dense = core.Dense(5, 7, use_bias=False, name="dense")

    assert [v.name for v in dense.variables] == ["dense/kernel:0"]


def test_dense_computes_in_the_type_of_its_input():
    dense = core.Dense(5, 7, name="dense")

    y = dense(tf.ones([2, 3, 5], tf.bfloat16))

    assert y.dtype == tf.bfloat16
    assert dense.kernel.dtype == tf.float32


def test_layer_norm_normalises_scales_and_shifts():
    norm = tiny_models.perturb(core.LayerNorm(5))
    x = 3.0 * _random(2, 3, 5) + 1.0

    y = norm(tf.constant(x))

    np.testing.assert_allclose(
        y, reference.layer_norm_of(norm, reference.array(x)), atol=1e-5
    )


@pytest.mark.parametrize("argument", ["x", "scale", "bias"])
def test_layer_norm_gradient_is_that_of_finite_differences(argument):
    norm = tiny_models.perturb(core.LayerNorm(5))
    x, upstream = _random(2, 3, 5), _random(2, 3, 5)
    arguments = dict(x=tf.Variable(x), scale=norm.scale, bias=norm.bias)

    with tf.GradientTape() as tape:
        y = norm(arguments["x"])
    gradient = tape.gradient(y, arguments[argument], output_gradients=upstream)

    values = {name: reference.array(value) for name, value in arguments.items()}
    expected = np.zeros(gradient.shape)
    for index in np.ndindex(*gradient.shape):
        ends = []
        for step in (1e-5, -1e-5):
            moved = values | {argument: values[argument].copy()}
            moved[argument][index] += step
            ends.append((reference.layer_norm(**moved) * upstream).sum())
        expected[index] = (ends[0] - ends[1]) / 2e-5
    np.testing.assert_allclose(gradient, expected, atol=1e-4)


def test_layer_norm_of_centred_values_takes_no_mean():
    norm = tiny_models.perturb(core.LayerNorm(7))
    x, kernel = tf.constant(_random(2, 3, 5)), tf.Variable(_random(5, 7))

    dy, variables = _random(2, 3, 7), [kernel, *norm.trainable_variables]

    with tf.GradientTape(persistent=True) as tape:
        expected = norm(core.matmul_last_axis(x, kernel))
        y = norm(core.matmul_last_axis(x, core.centre(kernel)), is_centred=True)
    found = [y, *tape.gradient(y, variables, dy)]
    expected = [expected, *tape.gradient(expected, variables, dy)]

    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_layer_norm_of_nothing_is_nothing():
    norm = core.LayerNorm(7)

    with tf.GradientTape() as tape:
        y = norm(tf.zeros([0, 3, 7]))
    gradients = tape.gradient(y, norm.trainable_variables)

    assert y.shape == (0, 3, 7)
    np.testing.assert_array_equal(gradients, np.zeros([2, 7]))


def test_layer_norm_is_finite_where_all_channels_are_equal():
    norm = core.LayerNorm(5)
    x = tf.constant([[[0.0] * 5, [7.0] * 5]])

    with tf.GradientTape() as tape:
        tape.watch(x)
        y = norm(x)

    np.testing.assert_allclose(y, np.zeros([1, 2, 5]), atol=1e-3)
    assert np.isfinite(tape.gradient(y, x)).all()


def test_layer_norm_of_bfloat16_is_computed_in_float32():
    norm = core.LayerNorm(64)
    # Deviation 1 around 100, where bfloat16 has steps of 0.5.
    x = tf.cast(100.0 + _random(3, 64), tf.bfloat16)

    y = norm(x)

    expected = reference.layer_norm(reference.array(tf.cast(x, tf.float32)))
    assert y.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(y, tf.float32), expected, atol=0.02)


def test_every_variable_gets_a_gradient():
    layers = [core.Dense(5, 7, name="dense"), core.LayerNorm(7)]
    variables = [v for layer in layers for v in layer.trainable_variables]

    with tf.GradientTape() as tape:
        x = tf.constant(_random(2, 3, 5))
        y = layers[1](layers[0](x)) * _random(2, 3, 7)
    gradients = tape.gradient(y, variables)

    assert len(variables) == 4
    for gradient in gradients:
        assert np.abs(gradient).max() > 0


def test_shift_right_puts_the_command_first():
    x = _random(2, 3, 5)
    first = _random(5)

    y = core.shift_right(tf.constant(x), tf.constant(first))

    np.testing.assert_array_equal(y[:, 0], [first, first])
    np.testing.assert_array_equal(y[:, 1:], x[:, :-1])


def test_shift_right_takes_the_type_of_the_sequence():
    y = core.shift_right(tf.ones([2, 3, 5], tf.bfloat16), tf.ones([5]))

    assert y.dtype == tf.bfloat16


@pytest.mark.parametrize("trailing", [(), (5,), (5, 4)])
def test_masked_positions_become_zeros(trailing):
    x = _random(2, 3, *trailing)
    mask = np.array([[True, True, False], [True, False, False]])

    y = core.apply_mask(tf.constant(x), tf.constant(mask)).numpy()

    np.testing.assert_array_equal(y[mask], x[mask])
    np.testing.assert_array_equal(y[~mask], np.zeros_like(x[~mask]))


def test_relu_of_padding_is_zero_and_has_no_gradient():
    x = tf.constant([[[1.0], [-2.0], [3.0]], [[4.0], [5.0], [-6.0]]])
    mask = tf.constant([[True, True, False], [True, False, False]])

    with tf.GradientTape() as tape:
        tape.watch(x)
        y = core.relu(x, mask)
    gradient = tape.gradient(y, x, 7.0 * tf.ones_like(x))

    np.testing.assert_array_equal(y[:, :, 0], [[1, 0, 0], [4, 0, 0]])
    np.testing.assert_array_equal(gradient[:, :, 0], [[7, 0, 0], [7, 0, 0]])


def test_without_a_mask_nothing_changes():
    x = tf.constant(_random(2, 3, 5))

    assert core.apply_mask(x, None) is x


def test_compiled_layers_equal_eager_ones():
    dense = tiny_models.perturb(core.Dense(5, 7, name="dense"))
    norm = tiny_models.perturb(core.LayerNorm(7))
    x = tf.constant(_random(2, 3, 5))
    mask = tf.constant([[True, True, False], [True, False, False]])

    def layers(x):
        return core.apply_mask(norm(dense(x)), mask)

    @tf.function(jit_compile=True)
    def compiled_layers(x):
        with compilation.tracing_for_xla():
            return layers(x)

    compiled = compiled_layers(x)

    np.testing.assert_allclose(compiled, layers(x), atol=1e-5)
