import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
import tiny_models
from t2t_mm.layers import randomness
from t2t_mm.models import multimodel_attention as attention

HIDDEN_SIZE = 12
HPARAMS = tiny_models.make_hparams(dropout=0.4, attention_dropout=0.3)
SOURCE_MASK = np.arange(5) < np.array([[3], [5]])


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _sequence(seed=0):
    return _random(2, 7, HIDDEN_SIZE, seed=seed)


def _stream(seed=(1, 2)):
    return randomness.RandomStream(tf.constant(seed, tf.int32))


def _source():
    values = tf.constant(_random(2, 5, HIDDEN_SIZE, seed=9))
    return attention.Source(values, tf.constant(SOURCE_MASK))


def _attention_block(*, query_residual=False, **changes):
    hparams = dataclasses.replace(
        HPARAMS, attention_query_residual=query_residual, **changes
    )
    return tiny_models.perturb(attention.AttentionBlock(hparams, name="attention"))


@pytest.mark.parametrize("query_residual", [False, True])
def test_attention_block_follows_the_paper(query_residual):
    block = _attention_block(query_residual=query_residual)
    x, source = _sequence(), _source()

    y = block(tf.constant(x), source, None)

    target = reference.array(x)
    mixed = target + reference.timing_signal(7, HIDDEN_SIZE)
    for step, dilation_rate in zip(block.premix, (1, 4), strict=True):
        mixed = reference.conv_step_of(
            step, mixed, dilation_rate=dilation_rate, causal=True
        )
    visible = np.tril(np.ones([7, 7], bool))[None]
    attended = reference.attention_of(
        block.attend.self_attention, mixed, mixed, 3, visible
    )
    if query_residual:
        attended += mixed
    attended = reference.attention_of(
        block.attend.source_attention,
        attended,
        reference.array(source.values),
        3,
        SOURCE_MASK[:, None],
    )
    expected = reference.layer_norm_of(block.layer_norm, target + attended)
    np.testing.assert_allclose(y, expected, atol=1e-3)


@pytest.mark.parametrize("query_residual", [False, True])
def test_cached_attention_block_equals_the_whole_sequence(query_residual):
    block = _attention_block(query_residual=query_residual)
    x, source = tf.constant(_sequence()), _source()
    cache = block.init_cache(source, 9)

    stepped = []
    for position in range(7):
        y, cache = block.step(x[:, position], cache, tf.constant(position))
        stepped.append(y)

    np.testing.assert_allclose(tf.stack(stepped, 1), block(x, source, None), atol=1e-5)


def test_attention_weights_are_dropped_in_training():
    block, x, source = _attention_block(), tf.constant(_sequence()), _source()

    kept, dropped, again = (
        block(x, source, rng).numpy() for rng in (None, _stream(), _stream())
    )

    assert (kept != dropped).any()
    np.testing.assert_array_equal(dropped, again)


KINDS = [
    dict(attention_type="simple"),
    dict(attention_type="none"),
    dict(attention_premix="conv_block"),
    dict(norm_position="pre"),
    dict(timing_channels=4),
    dict(separabilities=(-3, -2, 0, 0)),
]


@pytest.mark.parametrize("changes", KINDS)
def test_cached_steps_of_every_kind_equal_the_whole_sequence(changes):
    block = _attention_block(**changes)
    x, source = tf.constant(_sequence()), _source()
    cache = block.init_cache(source, 9)

    stepped = []
    for position in range(7):
        y, cache = block.step(x[:, position], cache, tf.constant(position))
        stepped.append(y)

    np.testing.assert_allclose(tf.stack(stepped, 1), block(x, source, None), atol=1e-5)


@pytest.mark.parametrize("changes", KINDS)
def test_gradient_reaches_every_variable(changes):
    block = _attention_block(**changes)
    x = tf.constant(_sequence())

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(x, _source(), _stream()) * _sequence(seed=1))
    gradients = tape.gradient(loss, block.trainable_variables)

    for variable, gradient in zip(block.trainable_variables, gradients, strict=True):
        assert np.abs(gradient).max() > 0, variable.name


def test_without_attention_the_source_is_its_mean():
    block = _attention_block(attention_type="none")
    x, source = _sequence(), _source()

    y = block(tf.constant(x), source, None)

    values = reference.array(source.values) * SOURCE_MASK[..., None]
    mean = values.sum(1) / SOURCE_MASK.sum(1)[:, None]
    expected = reference.layer_norm_of(block.layer_norm, x + mean[:, None])
    np.testing.assert_allclose(y, expected, atol=1e-4)
    assert len(block.variables) == 2


@pytest.mark.parametrize("norm_position", ["release", "post", "pre"])
def test_a_decoder_layer_adds_as_its_norm_position_says(norm_position):
    hparams = dataclasses.replace(HPARAMS, norm_position=norm_position)
    layer = tiny_models.perturb(attention.DecoderLayer(hparams, name="layer"))
    x, source = tf.constant(_sequence()), _source()

    y = layer(x, source, None)

    x = layer.conv_block(x, None, None)
    attended = layer.attention(x, source, None)
    expected = x + attended if norm_position == "release" else attended
    np.testing.assert_allclose(y, expected, atol=1e-5)
