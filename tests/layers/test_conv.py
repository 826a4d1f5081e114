import numpy as np
import pytest
import tensorflow as tf

import goldens
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
FORMS = ["default", "for_xla", "compiled"]


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _in_form(function, form):
    """Returns `function` as it computes op by op, or as XLA sees it, or under XLA."""
    if form == "default":
        return function

    def for_xla(*arguments):
        with compilation.tracing_for_xla():
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
        y, cache = step.step(x[:, position], cache)
        assert cache.shape == (2, (kernel_size - 1) * dilation_rate, 4)
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


@pytest.mark.parametrize("use_relu", [True, False])
@pytest.mark.parametrize("separable", [True, False])
@pytest.mark.parametrize(
    ("kernel_size", "strides"), [(3, (1, 1)), (3, (2, 1)), (3, (2, 2)), (1, (2, 1))]
)
def test_image_conv_step(kernel_size, strides, separable, use_relu):
    step = conv.ImageConvStep(
        3,
        4,
        kernel_size=kernel_size,
        strides=strides,
        separable=separable,
        relu=use_relu,
        name="step",
    )
    tiny_models.perturb(step)
    x = _random(2, 5, 8, 3)

    y = step(tf.constant(x))

    expected = reference.image_conv_step_of(step, x, strides=strides, use_relu=use_relu)
    np.testing.assert_allclose(y, expected, atol=1e-4)


@pytest.mark.parametrize("separable", [True, False])
def test_image_conv_step_gradient_reaches_every_variable(separable):
    step = conv.ImageConvStep(
        3, 4, kernel_size=3, strides=(2, 1), separable=separable, name="step"
    )

    with tf.GradientTape() as tape:
        y = step(tf.constant(_random(2, 5, 8, 3))) * _random(2, 3, 8, 4, seed=1)
    gradients = tape.gradient(y, step.trainable_variables)

    assert len(gradients) == (4 if separable else 3)
    for gradient in gradients:
        assert np.abs(gradient).max() > 0


def test_gradient_of_a_strided_pointwise_convolution_of_one_channel():
    step = conv.ImageConvStep(
        1, 4, kernel_size=1, strides=(2, 1), separable=False, relu=False, name="step"
    )
    x, upstream = _random(2, 6, 5, 1), _random(2, 3, 5, 4, seed=1)

    with tf.GradientTape() as tape:
        y = step(tf.constant(x)) * upstream
    gradient = tape.gradient(y, step.layer_norm.scale)

    kernel = reference.array(step.kernel)
    normalised = reference.layer_norm(reference.conv_image(x, kernel, (2, 1)))
    expected = (normalised * upstream).sum((0, 1, 2))
    np.testing.assert_allclose(gradient, expected, atol=1e-3)


def test_masked_rows_do_not_reach_their_neighbours():
    step = tiny_models.perturb(conv.ImageConvStep(3, 4, kernel_size=3, name="step"))
    mask = np.arange(6) < np.array([[4], [6]])
    x, other = _random(2, 6, 5, 3), _random(2, 6, 5, 3, seed=1)
    other[mask] = x[mask]

    y, y_other = (step(tf.constant(z), tf.constant(mask)).numpy() for z in (x, other))

    np.testing.assert_array_equal(y[mask], y_other[mask])


@pytest.mark.parametrize(("height", "width"), [(5, 8), (6, 7)])
@pytest.mark.parametrize("strides", [(2, 2), (2, 1)])
def test_max_pool_never_takes_the_border(height, width, strides):
    x = _random(2, height, width, 3) - 5.0  # all negative: a zero would win

    y = conv.max_pool(tf.constant(x), (3, 3), strides)

    np.testing.assert_array_equal(y, reference.max_pool(x, (3, 3), strides))


def test_max_pool_never_takes_padding():
    mask = np.arange(6) < np.array([[3], [6]])
    x = _random(2, 6, 4, 3)
    x[~mask] = 100.0

    y = conv.max_pool(tf.constant(x), (3, 3), (2, 2), tf.constant(mask))

    assert tf.reduce_max(y) < 100.0
    hidden = np.where(mask[:, :, None, None], x, -1e9)
    np.testing.assert_array_equal(y, reference.max_pool(hidden, (3, 3), (2, 2)))


@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("strides", [(2, 2), (2, 1), (1, 1)])
def test_max_pool_for_xla_equals_the_default_forward_and_backward(form, strides):
    x = tf.constant(_random(2, 7, 6, 3))
    mask = tf.sequence_mask([7, 4], 7)
    weights = tf.constant(_random(2, -(-7 // strides[0]), -(-6 // strides[1]), 3))

    def pool_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = conv.max_pool(x, (3, 3), strides, mask)
            loss = tf.reduce_sum(y * weights)
        return y, tape.gradient(loss, x)

    expected = pool_and_gradient(x)
    found = _in_form(pool_and_gradient, form)(x)
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-6)


@pytest.mark.parametrize(("case", "strides"), [(0, (2, 2)), (1, (2, 1))])
def test_max_pool_is_that_of_tensor2tensor(case, strides):
    arrays = goldens.read("layer_pool_and_standardise")

    y = conv.max_pool(tf.constant(arrays[f"c{case}:in:x"]), (3, 3), strides)

    np.testing.assert_array_equal(y, arrays[f"c{case}:out:y"])


def _conv_res(*, strides=(2, 2), shortcut_relu=True):
    block = conv.ConvRes(
        3, 4, strides=strides, shortcut_relu=shortcut_relu, name="block"
    )
    return tiny_models.perturb(block)


@pytest.mark.parametrize("shortcut_relu", [True, False])
@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (2, 2)])
def test_conv_res_is_a_pooled_branch_plus_a_shortcut(strides, shortcut_relu):
    block = _conv_res(strides=strides, shortcut_relu=shortcut_relu)
    x = _random(2, 6, 5, 3)

    y = block(tf.constant(x))

    expected = reference.conv_res_of(
        block, x, strides=strides, shortcut_relu=shortcut_relu
    )
    np.testing.assert_allclose(y, expected, atol=1e-4)


def test_conv_res_of_a_padded_spectrogram_is_that_of_the_shorter_one():
    block = _conv_res(strides=(2, 1))
    x = _random(2, 4, 5, 3)
    padded = np.concatenate([x, _random(2, 6, 5, 3, seed=1)], 1)
    mask = np.tile(np.arange(10) < 4, (2, 1))

    y = block(tf.constant(padded), tf.constant(mask))

    expected = reference.conv_res_of(block, x, strides=(2, 1), shortcut_relu=True)
    np.testing.assert_allclose(y[:, :2], expected, atol=1e-4)


def test_conv_res_gradient_reaches_every_variable():
    block = _conv_res()

    with tf.GradientTape() as tape:
        y = block(tf.constant(_random(2, 6, 5, 3))) * _random(2, 3, 3, 4, seed=1)
    gradients = tape.gradient(y, block.trainable_variables)

    assert len(gradients) == 4 + 4 + 3
    for gradient in gradients:
        assert np.abs(gradient).max() > 0


def test_compiled_conv_res_equals_the_eager_one():
    block = _conv_res()
    x = tf.constant(_random(2, 6, 5, 3))
    mask = tf.sequence_mask([6, 3], 6)

    compiled = tf.function(block, jit_compile=True)(x, mask)

    np.testing.assert_allclose(compiled, block(x, mask), atol=1e-4)
