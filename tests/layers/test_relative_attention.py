import math

import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
import tiny_models
from t2t_mm.layers import attention, relative_attention

HIDDEN_SIZE, NUM_HEADS, WINDOW, LENGTH = 6, 3, 2, 5


def _random(seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(2, LENGTH, HIDDEN_SIZE)).astype(np.float32)


def _layer(window=WINDOW):
    layer = relative_attention.RelativeSelfAttention(
        HIDDEN_SIZE, NUM_HEADS, window=window, name="attention"
    )
    return tiny_models.perturb(layer, deviation=0.5)


def _attend(layer, x, bias=0.0):
    x = tf.constant(x)
    return layer(x, layer.project(x), bias)


def _expected(layer, x, visible):
    """Equations 3 and 4 of Shaw et al. (2018), position by position."""
    queries, keys, values = (
        x @ reference.array(projection.kernel)
        for projection in (layer.query, layer.key, layer.value)
    )
    relative_keys = reference.array(layer.relative_keys)
    relative_values = reference.array(layer.relative_values)
    depth = HIDDEN_SIZE // NUM_HEADS
    joined = np.zeros(x.shape)
    for b, head, i in np.ndindex(len(x), NUM_HEADS, LENGTH):
        columns = slice(head * depth, (head + 1) * depth)
        seen = np.flatnonzero(visible[b, i])
        rows = [max(-WINDOW, min(WINDOW, j - i)) + WINDOW for j in seen]
        scores = [
            queries[b, i, columns] @ (keys[b, j, columns] + relative_keys[row])
            for j, row in zip(seen, rows, strict=True)
        ]
        weights = reference.softmax(np.array(scores) / math.sqrt(depth))
        for weight, j, row in zip(weights, seen, rows, strict=True):
            value = values[b, j, columns] + relative_values[row]
            joined[b, i, columns] += weight * value
    return joined @ reference.array(layer.output.kernel)


def test_distances_add_to_keys_and_values():
    layer, x = _layer(), _random()
    mask = np.arange(LENGTH) < np.array([[5], [3]])

    y = _attend(layer, x, attention.padding_bias(tf.constant(mask)))

    visible = np.broadcast_to(mask[:, None], [2, LENGTH, LENGTH])
    np.testing.assert_allclose(y, _expected(layer, x, visible), atol=1e-5)


def test_distances_add_to_keys_and_values_of_the_past():
    layer, x = _layer(), _random()

    y = _attend(layer, x, attention.causal_bias(tf.constant(LENGTH)))

    visible = np.broadcast_to(np.tril(np.ones([LENGTH] * 2)), [2, LENGTH, LENGTH])
    np.testing.assert_allclose(y, _expected(layer, x, visible), atol=1e-5)


def test_it_tells_the_order_of_equal_positions():
    layer, plain = _layer(), attention.MultiHeadAttention(6, 3, name="attention")
    for variable, other in zip(
        (plain.query, plain.key, plain.value, plain.output),
        (layer.query, layer.key, layer.value, layer.output),
        strict=True,
    ):
        variable.kernel.assign(other.kernel)
    x = _random()
    backwards = x[:, ::-1].copy()

    turned, turned_plain = (
        np.abs(_attend(net, x)[:, ::-1] - _attend(net, backwards)).max()
        for net in (layer, plain)
    )

    assert turned > 0.01
    assert turned_plain < 1e-5


def test_distances_beyond_the_window_are_alike():
    layer = _layer()
    x = _random()
    swapped = x.copy()
    swapped[:, [2, 4]] = x[:, [4, 2]]  # 4 is out of the window

    y, y_swapped = (_attend(layer, z) for z in (x, swapped))

    np.testing.assert_allclose(y[:, 0], y_swapped[:, 0], atol=1e-5)  # far from both
    assert np.abs(y[:, 1] - y_swapped[:, 1]).max() > 0.01


def test_cached_steps_equal_the_whole_sequence():
    layer, x = _layer(), _random()
    whole = _attend(layer, x, attention.causal_bias(tf.constant(LENGTH)))
    cache = layer.init_cache(tf.constant(2), 7)  # room for more than there is

    stepped = []
    for position in range(LENGTH):
        y, cache = layer.step(tf.constant(x[:, position]), cache, tf.constant(position))
        stepped.append(y)

    np.testing.assert_allclose(tf.stack(stepped, 1), whole, atol=1e-5)


@pytest.mark.parametrize("position", [0, 2, 4])
def test_causal_attention_ignores_the_future(position):
    layer, x = _layer(), _random()
    changed = x.copy()
    changed[:, position] += 1.0
    bias = attention.causal_bias(tf.constant(LENGTH))

    y, y_changed = (_attend(layer, z, bias).numpy() for z in (x, changed))

    np.testing.assert_array_equal(y[:, :position], y_changed[:, :position])
    assert (y[:, position] != y_changed[:, position]).any()


def test_gradient_reaches_every_variable():
    layer = _layer()

    with tf.GradientTape() as tape:
        y = _attend(layer, _random()) * _random(seed=2)
    gradients = tape.gradient(y, layer.trainable_variables)

    tables = 2 * (2 * WINDOW + 1) * HIDDEN_SIZE // NUM_HEADS
    count = sum(v.shape.num_elements() for v in layer.variables)
    assert count == 4 * HIDDEN_SIZE**2 + tables
    for gradient in gradients:
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0


def test_compiled_attention_equals_the_eager_one():
    layer, x = _layer(), tf.constant(_random())

    def attend(x):
        return layer(x, layer.project(x), 0.0)

    compiled = tf.function(attend, jit_compile=True)(x)

    np.testing.assert_allclose(compiled, attend(x), atol=1e-5)


def test_bfloat16_stays_near_float32():
    layer, x = _layer(), _random()
    y = _attend(layer, x)

    low = tf.constant(x, tf.bfloat16)
    low = layer(low, layer.project(low), 0.0)

    assert low.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(low, tf.float32), y, atol=0.2)
