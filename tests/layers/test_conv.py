import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
import tiny_models
from t2t_mm.layers import compilation, conv

# Kernel size, dilation rate, causal.
SEQUENCE_CASES = [
    (1, 1, False),
    (3, 1, False),
    (3, 1, True),
    (5, 2, False),
    (5, 4, True),
    (3, 8, True),
    (15, 8, False),
]
FORMS = ["default", "for_xla", "compiled", "accelerator"]


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _in_form(function, form):
    """Returns `function` as it computes op by op, or as XLA sees it, or under XLA."""
    if form == "default":
        return function
    platform = "GPU" if form == "accelerator" else "CPU"

    def for_xla(*arguments):
        with (
            compilation.tracing_for_xla(),
            compilation.compiling_elsewhere(platform),
        ):
            return function(*arguments)

    return tf.function(for_xla, jit_compile=True) if form == "compiled" else for_xla


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("kernel_size", "dilation_rate", "causal"), SEQUENCE_CASES)
def test_depthwise_convolution_and_its_gradient(
    kernel_size, dilation_rate, causal, form
):
    x, kernel, upstream = _random(2, 11, 4), _random(kernel_size, 4), _random(2, 11, 4)

    def convolve(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = conv.depthwise_conv_sequence(
                x, kernel, dilation_rate=dilation_rate, causal=causal
            )
        return y, *tape.gradient(y, [x, kernel], output_gradients=upstream)

    y, dx, dkernel = _in_form(convolve, form)(tf.constant(x), tf.constant(kernel))

    settings = dict(dilation_rate=dilation_rate, causal=causal)
    expected = reference.depthwise_sequence(x, kernel, **settings)
    expected_dx, expected_dkernel = _gradients(x, kernel, upstream, **settings)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    np.testing.assert_allclose(dx, expected_dx, atol=1e-5)
    np.testing.assert_allclose(dkernel, expected_dkernel, atol=1e-5)


def _gradients(x, kernel, upstream, *, dilation_rate, causal):
    """The convolution is linear in both: a gradient sums over the same pairs."""
    span = (len(kernel) - 1) * dilation_rate
    shift = span if causal else span // 2
    dx, dkernel = np.zeros(x.shape), np.zeros(kernel.shape)
    for t in range(x.shape[1]):
        for tap in range(len(kernel)):
            position = t + tap * dilation_rate - shift
            if 0 <= position < x.shape[1]:
                dx[:, position] += upstream[:, t] * kernel[tap]
                dkernel[tap] += (upstream[:, t] * x[:, position]).sum(0)
    return dx, dkernel


@pytest.mark.parametrize("form", ["default", "for_xla"])
def test_a_sequence_shorter_than_the_kernel(form):
    x, kernel = _random(2, 3, 4), _random(15, 4)

    def convolve(x, kernel):
        return conv.depthwise_conv_sequence(x, kernel, dilation_rate=8, causal=True)

    y = _in_form(convolve, form)(tf.constant(x), tf.constant(kernel))

    expected = reference.depthwise_sequence(x, kernel, 8, True)
    np.testing.assert_allclose(y, expected, atol=1e-6)


@pytest.mark.parametrize("form", ["default", "for_xla"])
def test_depthwise_convolution_keeps_bfloat16(form):
    x, kernel = _random(2, 7, 4), _random(3, 4)

    def convolve(x, kernel):
        return conv.depthwise_conv_sequence(x, kernel, dilation_rate=2, causal=True)

    y = _in_form(convolve, form)(tf.constant(x, tf.bfloat16), tf.constant(kernel))

    assert y.dtype == tf.bfloat16
    expected = reference.depthwise_sequence(x, kernel, 2, True)
    np.testing.assert_allclose(tf.cast(y, tf.float32), expected, atol=0.1)


def _conv_step(*, kernel_size=5, dilation_rate=2, causal=True):
    step = conv.ConvStep(
        4,
        6,
        kernel_size=kernel_size,
        dilation_rate=dilation_rate,
        causal=causal,
        name="step",
    )
    return tiny_models.perturb(step)


@pytest.mark.parametrize(("kernel_size", "dilation_rate", "causal"), SEQUENCE_CASES[:5])
def test_conv_step_is_the_norm_of_a_separable_convolution_of_the_relu(
    kernel_size, dilation_rate, causal
):
    step = _conv_step(
        kernel_size=kernel_size, dilation_rate=dilation_rate, causal=causal
    )
    x = _random(2, 7, 4)

    y = step(tf.constant(x))

    expected = reference.conv_step_of(
        step, x, dilation_rate=dilation_rate, causal=causal
    )
    np.testing.assert_allclose(y, expected, atol=1e-4)


def test_conv_step_has_as_many_parameters_as_the_paper_says():
    step = _conv_step(kernel_size=5)

    assert sum(v.shape.num_elements() for v in step.variables) == 5 * 4 + 4 * 6 + 2 * 6


def test_conv_step_needs_an_odd_kernel():
    with pytest.raises(ValueError, match="`kernel_size` must be odd; got 4"):
        _conv_step(kernel_size=4)


def test_masked_positions_do_not_reach_their_neighbours():
    step = _conv_step(causal=False)
    mask = np.arange(7) < np.array([[4], [7]])
    x, other = _random(2, 7, 4), _random(2, 7, 4, seed=1)
    other[mask] = x[mask]

    y, y_other = (step(tf.constant(z), tf.constant(mask)).numpy() for z in (x, other))

    np.testing.assert_array_equal(y[mask], y_other[mask])
    expected = reference.conv_step_of(step, x, dilation_rate=2, mask=mask)
    np.testing.assert_allclose(y, expected, atol=1e-4)


@pytest.mark.parametrize("position", [0, 3, 6])
def test_a_causal_step_ignores_the_future(position):
    step = _conv_step()
    x = _random(2, 7, 4)
    changed = x.copy()
    changed[:, position] += 1.0

    y, y_changed = step(tf.constant(x)).numpy(), step(tf.constant(changed)).numpy()

    np.testing.assert_array_equal(y[:, :position], y_changed[:, :position])
    assert (y[:, position] != y_changed[:, position]).any()


@pytest.mark.parametrize(("kernel_size", "dilation_rate"), [(1, 1), (3, 1), (5, 4)])
def test_cached_steps_equal_the_whole_sequence(kernel_size, dilation_rate):
    step = _conv_step(kernel_size=kernel_size, dilation_rate=dilation_rate)
    x = tf.constant(_random(2, 20, 4))
    cache = step.init_cache(2)

    stepped = []
    for position in range(20):
        y, cache = step.step(x[:, position], cache, tf.constant(position))
        assert cache.shape == (2, (kernel_size - 1) * dilation_rate + 1, 4)
        stepped.append(y)

    np.testing.assert_allclose(tf.stack(stepped, 1), step(x), atol=1e-5)


def test_conv_step_gradient_reaches_every_variable():
    step = _conv_step()

    with tf.GradientTape() as tape:
        y = step(tf.constant(_random(2, 7, 4))) * _random(2, 7, 6, seed=1)
    gradients = tape.gradient(y, step.trainable_variables)

    assert len(gradients) == 4
    for gradient in gradients:
        assert np.abs(gradient).max() > 0


def test_compiled_conv_step_equals_the_eager_one():
    step = _conv_step()
    x = tf.constant(_random(2, 7, 4))

    np.testing.assert_allclose(_in_form(step, "compiled")(x), step(x), atol=1e-5)
