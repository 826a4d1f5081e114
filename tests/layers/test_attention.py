import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
import tiny_models
from t2t_mm.layers import attention, randomness

HIDDEN_SIZE, NUM_HEADS = 6, 3
MASK = np.arange(5) < np.array([[5], [2]])


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _layer():
    layer = attention.MultiHeadAttention(HIDDEN_SIZE, NUM_HEADS, name="attention")
    return tiny_models.perturb(layer, deviation=0.5)


def _attend(layer, x, memory, bias, **settings):
    return layer(tf.constant(x), layer.project(tf.constant(memory)), bias, **settings)


def test_attention_weighs_values_by_scaled_products():
    layer = _layer()
    x, memory = _random(2, 4, HIDDEN_SIZE), _random(2, 5, HIDDEN_SIZE, seed=1)

    y = _attend(layer, x, memory, attention.padding_bias(tf.constant(MASK)))

    expected = reference.attention_of(layer, x, memory, NUM_HEADS, MASK[:, None])
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_causal_attention_sees_the_past_and_itself():
    layer = _layer()
    x = _random(2, 5, HIDDEN_SIZE)

    y = _attend(layer, x, x, attention.causal_bias(tf.constant(5)))

    visible = np.tril(np.ones([5, 5], bool))[None]
    expected = reference.attention_of(layer, x, x, NUM_HEADS, visible)
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_masked_memory_has_no_influence():
    layer = _layer()
    x, memory = _random(2, 4, HIDDEN_SIZE), _random(2, 5, HIDDEN_SIZE, seed=1)
    other = np.where(MASK[..., None], memory, 50.0).astype(np.float32)
    bias = attention.padding_bias(tf.constant(MASK))

    y, y_other = (_attend(layer, x, m, bias) for m in (memory, other))

    np.testing.assert_array_equal(y, y_other)


@pytest.mark.parametrize("position", [0, 2, 4])
def test_causal_attention_ignores_the_future(position):
    layer = _layer()
    x = _random(2, 5, HIDDEN_SIZE)
    changed = x.copy()
    changed[:, position] += 1.0
    bias = attention.causal_bias(tf.constant(5))

    y, y_changed = (_attend(layer, z, z, bias).numpy() for z in (x, changed))

    np.testing.assert_array_equal(y[:, :position], y_changed[:, :position])
    assert (y[:, position] != y_changed[:, position]).any()


def test_a_row_without_memory_stays_finite():
    layer = _layer()
    bias = attention.padding_bias(tf.zeros([2, 5], tf.bool))

    with tf.GradientTape() as tape:
        y = _attend(layer, _random(2, 4, 6), _random(2, 5, 6), bias)
    gradients = tape.gradient(y, layer.trainable_variables)

    assert np.isfinite(y).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_cached_steps_equal_the_whole_sequence():
    layer = _layer()
    x = _random(2, 5, HIDDEN_SIZE)
    whole = _attend(layer, x, x, attention.causal_bias(tf.constant(5)))
    cache = layer.init_cache(tf.constant(2), 7)  # room for more than there is

    stepped = []
    for position in range(5):
        y, cache = layer.step(tf.constant(x[:, position]), cache, tf.constant(position))
        stepped.append(y)

    assert cache.keys.shape == (2, NUM_HEADS, 7, HIDDEN_SIZE // NUM_HEADS)
    np.testing.assert_allclose(tf.stack(stepped, 1), whole, atol=1e-5)


def test_gradient_reaches_every_variable():
    layer = _layer()
    bias = attention.padding_bias(tf.constant(MASK))

    with tf.GradientTape() as tape:
        y = _attend(layer, _random(2, 4, 6), _random(2, 5, 6, seed=1), bias)
        y *= _random(2, 4, 6, seed=2)
    gradients = tape.gradient(y, layer.trainable_variables)

    assert sum(v.shape.num_elements() for v in layer.variables) == 4 * 6 * 6
    for gradient in gradients:
        assert np.abs(gradient).max() > 0


def test_compiled_attention_equals_the_eager_one():
    layer = _layer()
    x, memory = tf.constant(_random(2, 4, 6)), tf.constant(_random(2, 5, 6, seed=1))

    def attend(x, memory):
        bias = attention.padding_bias(tf.constant(MASK))
        return layer(x, layer.project(memory), bias)

    compiled = tf.function(attend, jit_compile=True)(x, memory)

    np.testing.assert_allclose(compiled, attend(x, memory), atol=1e-5)


def test_weights_are_dropped_in_training_only():
    layer = _layer()
    x, memory = _random(2, 4, 6), _random(2, 5, 6, seed=1)
    bias = attention.padding_bias(tf.constant(MASK))

    def attend(seed):
        rng = None if seed is None else randomness.RandomStream(tf.constant(seed))
        return _attend(layer, x, memory, bias, dropout=0.5, rng=rng).numpy()

    np.testing.assert_array_equal(attend(None), _attend(layer, x, memory, bias))
    np.testing.assert_array_equal(attend([1, 2]), attend([1, 2]))
    assert (attend([1, 2]) != attend([1, 3])).any()
    assert (attend([1, 2]) != attend(None)).any()


def test_bfloat16_stays_near_float32():
    layer = _layer()
    x, memory = _random(2, 4, 6), _random(2, 5, 6, seed=1)
    bias = attention.padding_bias(tf.constant(MASK))
    y = _attend(layer, x, memory, bias)

    low = layer(
        tf.constant(x, tf.bfloat16),
        layer.project(tf.constant(memory, tf.bfloat16)),
        bias,
    )

    assert low.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(low, tf.float32), y, atol=0.1)


def test_heads_must_divide_the_hidden_size():
    with pytest.raises(ValueError, match=r"\(7\) must be divisible by .* \(3\)"):
        attention.MultiHeadAttention(7, 3, name="attention")
