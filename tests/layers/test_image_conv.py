import numpy as np
import pytest
import tensorflow as tf

import goldens
import modality_names
import numpy_reference as reference
import original_names
import tiny_models
from t2t_mm.layers import compilation, image_conv

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


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("use_relu", [True, False])
@pytest.mark.parametrize("separable", [True, False])
@pytest.mark.parametrize(
    ("kernel_size", "strides"),
    [
        ((3, 3), (1, 1)),
        ((3, 3), (2, 1)),
        ((3, 3), (2, 2)),
        ((1, 1), (2, 1)),
        ((5, 1), (4, 1)),
        ((5, 3), (1, 2)),
    ],
)
def test_image_conv_step(kernel_size, strides, separable, use_relu, causal):
    step = image_conv.ImageConvStep(
        3,
        4,
        kernel_size=kernel_size,
        strides=strides,
        separable=separable,
        relu=use_relu,
        causal=causal,
        name="step",
    )
    tiny_models.perturb(step)
    x = _random(2, 5, 8, 3)

    y = step(tf.constant(x))

    expected = reference.image_conv_step_of(
        step, x, strides=strides, use_relu=use_relu, causal=causal
    )
    np.testing.assert_allclose(y, expected, atol=1e-4)


@pytest.mark.parametrize("separable", [True, False])
def test_a_causal_image_conv_step_ignores_what_lies_behind(separable):
    step = image_conv.ImageConvStep(
        3, 4, kernel_size=(5, 3), separable=separable, causal=True, name="step"
    )
    tiny_models.perturb(step)
    x = _random(2, 6, 5, 3)
    changed = x.copy()
    changed[:, 3:] += 1.0
    changed[:, :, 4:] += 1.0

    y, y_changed = step(tf.constant(x)).numpy(), step(tf.constant(changed)).numpy()

    np.testing.assert_array_equal(y[:, :3, :4], y_changed[:, :3, :4])
    assert (y[:, 3] != y_changed[:, 3]).any()


@pytest.mark.parametrize("separable", [True, False])
def test_image_conv_step_gradient_reaches_every_variable(separable):
    step = image_conv.ImageConvStep(
        3, 4, kernel_size=(3, 3), strides=(2, 1), separable=separable, name="step"
    )

    with tf.GradientTape() as tape:
        y = step(tf.constant(_random(2, 5, 8, 3))) * _random(2, 3, 8, 4, seed=1)
    gradients = tape.gradient(y, step.trainable_variables)

    assert len(gradients) == (4 if separable else 3)
    for gradient in gradients:
        assert np.abs(gradient).max() > 0


@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("kernel_size", [(3, 3), (5, 1), (2, 4)])
def test_depthwise_convolution_for_xla_equals_the_default_forward_and_backward(
    kernel_size, causal, form
):
    arguments = _random(2, 5, 8, 3), _random(*kernel_size, 3, 1), _random(2, 5, 8, 3)

    def convolve(x, kernel, dy):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y = image_conv.depthwise_conv_image(x, kernel, (1, 1), causal=causal)
        return y, *tape.gradient(y, [x, kernel], dy)

    arguments = [tf.constant(argument) for argument in arguments]
    found = _in_form(convolve, form)(*arguments)

    for one, other in zip(found, convolve(*arguments), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (2, 2), (1, 3)])
def test_strides_keep_the_first_of_every_few(strides, form):
    x, rows, columns = _random(2, 5, 8, 1), *strides
    dy = _random(*x[:, ::rows, ::columns].shape)

    def take(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = image_conv.stride(x, strides)
        return y, tape.gradient(y, x, tf.constant(dy))

    y, gradient = _in_form(take, form)(tf.constant(x))

    np.testing.assert_array_equal(y, x[:, ::rows, ::columns])
    expected = np.zeros_like(x)
    expected[:, ::rows, ::columns] = dy
    np.testing.assert_array_equal(gradient, expected)


def test_gradient_of_a_strided_pointwise_convolution_of_one_channel():
    step = image_conv.ImageConvStep(
        1,
        4,
        kernel_size=(1, 1),
        strides=(2, 1),
        separable=False,
        relu=False,
        name="step",
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
    step = tiny_models.perturb(
        image_conv.ImageConvStep(3, 4, kernel_size=(3, 3), name="step")
    )
    mask = np.arange(6) < np.array([[4], [6]])
    x, other = _random(2, 6, 5, 3), _random(2, 6, 5, 3, seed=1)
    other[mask] = x[mask]

    y, y_other = (step(tf.constant(z), tf.constant(mask)).numpy() for z in (x, other))

    np.testing.assert_array_equal(y[mask], y_other[mask])


@pytest.mark.parametrize(("height", "width"), [(5, 8), (6, 7)])
@pytest.mark.parametrize("strides", [(2, 2), (2, 1)])
def test_max_pool_never_takes_the_border(height, width, strides):
    x = _random(2, height, width, 3) - 5.0  # all negative: a zero would win

    y = image_conv.max_pool(tf.constant(x), (3, 3), strides)

    np.testing.assert_array_equal(y, reference.max_pool(x, (3, 3), strides))


def test_max_pool_never_takes_padding():
    mask = np.arange(6) < np.array([[3], [6]])
    x = _random(2, 6, 4, 3)
    x[~mask] = 100.0

    y = image_conv.max_pool(tf.constant(x), (3, 3), (2, 2), tf.constant(mask))

    assert tf.reduce_max(y) < 100.0
    hidden = np.where(mask[:, :, None, None], x, -1e9)
    np.testing.assert_array_equal(y, reference.max_pool(hidden, (3, 3), (2, 2)))


@pytest.mark.parametrize(("window", "strides"), [((3, 3), (2, 1)), ((5, 1), (4, 1))])
def test_a_causal_max_pool_takes_zeros_in_front(window, strides):
    x = _random(2, 6, 7, 3) - 5.0

    y = image_conv.max_pool(tf.constant(x), window, strides, causal=True)

    expected = reference.max_pool(x, window, strides, causal=True)
    np.testing.assert_array_equal(y, expected.astype(np.float32))
    assert (y[:, 0] == 0).numpy().all()
    assert (y[:, -1, -1] < 0).numpy().all()


@pytest.mark.parametrize("form", FORMS[1:])
@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("strides", [(2, 2), (2, 1), (1, 1), (4, 1)])
def test_max_pool_for_xla_equals_the_default_forward_and_backward(
    form, strides, causal
):
    x = tf.constant(_random(2, 7, 6, 3))
    mask = tf.sequence_mask([7, 4], 7)
    weights = tf.constant(_random(2, -(-7 // strides[0]), -(-6 // strides[1]), 3))

    def pool_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = image_conv.max_pool(x, (3, 3), strides, mask, causal=causal)
            loss = tf.reduce_sum(y * weights)
        return y, tape.gradient(loss, x)

    expected = pool_and_gradient(x)
    found = _in_form(pool_and_gradient, form)(x)
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    "number", goldens.numbers_of_cases("layer_pool_and_standardise", title="max pool")
)
def test_max_pool_is_that_of_tensor2tensor(number):
    case = goldens.case("layer_pool_and_standardise", number)

    y = image_conv.max_pool(
        tf.constant(case["in:x"]),
        case.entry["window"],
        case.entry["strides"],
        causal=case.entry["padding"] == "LEFT",
    )

    case.compare("out:y", y)


@pytest.mark.parametrize(
    "number", goldens.numbers_of_cases("layer_subseparable_conv", kernel=[3, 3])
)
def test_bare_convolutions_are_those_of_tensor2tensor(number):
    case = goldens.case("layer_subseparable_conv", number)
    x, causal = tf.constant(case["in:x"]), case.entry["padding"] == "LEFT"

    if x.shape[2] == 1:  # the original takes a kernel of width 1 then
        kernel, bias = (case.variables[f"conv_small/{n}"] for n in ("kernel", "bias"))
        y = image_conv.conv_image(x, kernel, (1, 1), causal=causal) + bias
    else:
        depthwise = case.variables["conv_std/depthwise_kernel"]
        pointwise = case.variables["conv_std/pointwise_kernel"]
        y = image_conv.depthwise_conv_image(x, depthwise, (1, 1), causal=causal)
        y = image_conv.conv_image(y, pointwise, (1, 1))

    case.compare("out:y", y)


@pytest.mark.parametrize(
    "number",
    [
        number
        for kind in ("ordinary", "separable")
        for number in goldens.numbers_of_cases("layer_conv_block", kind=kind)
    ],
)
def test_image_conv_steps_are_those_of_tensor2tensor(number):
    case = goldens.case("layer_conv_block", number)
    y = tf.constant(case["in:x"])

    for i, kernel_size in enumerate(case.entry["kernels"]):
        step = image_conv.ImageConvStep(
            y.shape[3],
            case.entry["filters"],
            kernel_size=tuple(kernel_size),
            strides=tuple(case.entry.get("strides", (1, 1))),
            separable=case.entry["kind"] == "separable",
            relu=i > 0 or case.entry["first_relu"],
            name="step",
        )
        scope = {k: v for k, v in case.variables.items() if f"_{i}" in k}
        rows = modality_names.image_conv_step("", "blk", number=i)
        original_names.assign(step, scope, rows)
        y = step(y)

    case.compare("out:y", y)


def _conv_res(**settings):
    return tiny_models.perturb(image_conv.ConvRes(3, 4, name="block", **settings))


@pytest.mark.parametrize("shortcut_separable", [True, False])
@pytest.mark.parametrize("shortcut_relu", [True, False])
@pytest.mark.parametrize("strides", [(1, 1), (2, 1), (2, 2)])
def test_conv_res_is_a_pooled_branch_plus_a_shortcut(
    strides, shortcut_relu, shortcut_separable
):
    block = _conv_res(
        strides=strides,
        shortcut_relu=shortcut_relu,
        shortcut_separable=shortcut_separable,
    )
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

    compiled = _in_form(block, "compiled")(x, mask)

    np.testing.assert_allclose(compiled, block(x, mask), atol=1e-4)
