import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
import tiny_models
from t2t_mm.layers import attention, randomness
from t2t_mm.models import multimodel_blocks as blocks

HIDDEN_SIZE = 12
HPARAMS = tiny_models.make_hparams(dropout=0.4, attention_dropout=0.3)
SPACE_ID = tf.constant(3)
MASK = np.arange(7) < np.array([[7], [4]])
SOURCE_MASK = np.arange(5) < np.array([[3], [5]])


def _random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _sequence(seed=0):
    return _random(2, 7, HIDDEN_SIZE, seed=seed)


def _stream(seed=(1, 2)):
    return randomness.RandomStream(tf.constant(seed, tf.int32))


def _conv_block(*, causal):
    return tiny_models.perturb(blocks.ConvBlock(HPARAMS, causal=causal, name="block"))


def _conv_block_of(block, x, *, causal, mask=None):
    """h2 = x + step1(step0(x)), out = x + step3(step2(h2))."""
    h = x
    for first in (0, 2):
        for i in (first, first + 1):
            h = reference.conv_step_of(
                block.steps[i],
                h,
                dilation_rate=HPARAMS.dilation_rates[i],
                causal=causal,
                mask=mask,
            )
        h = x + h
    return h


def _source():
    return blocks.Source(
        tf.constant(_random(2, 5, HIDDEN_SIZE, seed=9)),
        attention.padding_bias(tf.constant(SOURCE_MASK)),
    )


def _attention_block(*, query_residual=False):
    hparams = dataclasses.replace(HPARAMS, attention_query_residual=query_residual)
    return tiny_models.perturb(blocks.AttentionBlock(hparams, name="attention"))


@pytest.mark.parametrize("causal", [True, False])
def test_conv_block_has_two_skips_from_its_input(causal):
    block, x = _conv_block(causal=causal), _sequence()

    y = block(tf.constant(x), tf.constant(MASK), None)

    expected = _conv_block_of(block, reference.array(x), causal=causal, mask=MASK)
    np.testing.assert_allclose(y, expected, atol=1e-3)


def test_conv_block_drops_units_in_training():
    block, x = _conv_block(causal=True), tf.constant(_sequence())
    kept = block(x, None, None).numpy()

    dropped = block(x, None, _stream()).numpy()

    zero = dropped == 0.0
    assert zero.mean() == pytest.approx(0.4, abs=0.15)
    np.testing.assert_allclose(dropped[~zero], kept[~zero] / 0.6, rtol=1e-5)


def test_cached_conv_block_equals_the_whole_sequence():
    block, x = _conv_block(causal=True), tf.constant(_sequence())
    cache = block.init_cache(tf.constant(2), tf.float32)

    stepped = []
    for position in range(7):
        y, cache = block.step(x[:, position], cache)
        stepped.append(y)

    np.testing.assert_allclose(tf.stack(stepped, 1), block(x, None, None), atol=1e-5)


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
    attended = reference.attention_of(block.self_attention, mixed, mixed, 3, visible)
    if query_residual:
        attended += mixed
    attended = reference.attention_of(
        block.source_attention,
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


def test_expert_block_is_the_norm_of_input_plus_experts():
    block = tiny_models.perturb(blocks.ExpertBlock(HPARAMS, name="experts"))
    x = _sequence()

    output = block(tf.constant(x), tf.constant(MASK), SPACE_ID, None)

    mixed = reference.experts_of(block.feed_forward.net, x, MASK, HPARAMS.moe_k)
    expected = reference.layer_norm_of(block.layer_norm, x + mixed)
    np.testing.assert_allclose(output.values, expected, atol=1e-3)
    assert tf.reduce_sum(output.stats.load) == HPARAMS.moe_k * MASK.sum()


@pytest.mark.parametrize("block_cls", [blocks.AttentionBlock, blocks.ExpertBlock])
def test_gradient_reaches_every_variable(block_cls):
    block = tiny_models.perturb(block_cls(HPARAMS, name="block"))
    x = tf.constant(_sequence())

    with tf.GradientTape() as tape:
        if block_cls is blocks.ExpertBlock:
            output = block(x, tf.constant(MASK), SPACE_ID, _stream())
            y, loss = output.values, output.balance_loss
        else:
            y, loss = block(x, _source(), _stream()), 0.0
        loss += tf.reduce_sum(y * _sequence(seed=1))
    gradients = tape.gradient(loss, block.trainable_variables)

    for variable, gradient in zip(block.trainable_variables, gradients, strict=True):
        assert np.abs(gradient).max() > 0, variable.name
