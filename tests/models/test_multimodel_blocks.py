import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
import tiny_models
from t2t_mm.layers import randomness
from t2t_mm.models import multimodel_blocks as blocks

HIDDEN_SIZE = 12
HPARAMS = tiny_models.make_hparams(dropout=0.4, attention_dropout=0.3)
SPACE_ID = tf.constant(3)
MASK = np.arange(7) < np.array([[7], [4]])


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
        y, cache = block.step(x[:, position], cache, tf.constant(position))
        stepped.append(y)

    np.testing.assert_allclose(tf.stack(stepped, 1), block(x, None, None), atol=1e-5)


def test_expert_block_is_the_norm_of_input_plus_experts():
    block = tiny_models.perturb(blocks.ExpertBlock(HPARAMS, name="experts"))
    x = _sequence()

    output = block(tf.constant(x), tf.constant(MASK), SPACE_ID, None)

    mixed = reference.experts_of(block.feed_forward.net, x, MASK, HPARAMS.moe_k)
    expected = reference.layer_norm_of(block.layer_norm, x + mixed)
    np.testing.assert_allclose(output.values, expected, atol=1e-3)
    assert tf.reduce_sum(output.stats.load) == HPARAMS.moe_k * MASK.sum()


@pytest.mark.parametrize(
    ("second_skip", "of_input", "of_pair"),
    [("input", 1, 0), ("hidden2", 1, 1), ("none", 0, 0)],
)
def test_the_second_skip_starts_where_it_is_told(second_skip, of_input, of_pair):
    hparams = dataclasses.replace(HPARAMS, second_skip=second_skip)
    block = tiny_models.perturb(blocks.ConvBlock(hparams, causal=True, name="block"))
    x = reference.array(_sequence())

    y = block(tf.constant(_sequence()), None, None)

    pair = last = x
    for i, step in enumerate(block.steps):
        last = reference.conv_step_of(
            step, last, dilation_rate=HPARAMS.dilation_rates[i], causal=True
        )
        if i == 1:
            pair, last = last, x + last
    expected = last + of_input * x + of_pair * pair
    np.testing.assert_allclose(y, expected, atol=1e-3)


def test_dropout_after_stacks_leaves_blocks_alone():
    hparams = dataclasses.replace(HPARAMS, dropout_position="stack")
    block = blocks.ConvBlock(hparams, causal=True, name="block")
    x = tf.constant(_sequence())

    np.testing.assert_array_equal(block(x, None, _stream()), block(x, None, None))


def test_pre_norm_normalises_what_the_experts_see():
    hparams = dataclasses.replace(HPARAMS, norm_position="pre")
    block = tiny_models.perturb(blocks.ExpertBlock(hparams, name="experts"))
    x = _sequence()

    output = block(tf.constant(x), tf.constant(MASK), SPACE_ID, None)

    seen = reference.layer_norm_of(block.layer_norm, x)
    mixed = reference.experts_of(block.feed_forward.net, seen, MASK, HPARAMS.moe_k)
    np.testing.assert_allclose(output.values, x + mixed, atol=1e-3)


def test_the_dense_form_costs_what_the_experts_of_a_position_cost():
    hparams = dataclasses.replace(HPARAMS, feed_forward="dense")
    block = tiny_models.perturb(blocks.ExpertBlock(hparams, name="experts"))
    x = _sequence()

    output = block(tf.constant(x), tf.constant(MASK), SPACE_ID, None)

    net = block.feed_forward.net
    hidden = reference.relu(x @ reference.array(net.hidden.kernel))
    mixed = hidden @ reference.array(net.output.kernel)
    expected = reference.layer_norm_of(block.layer_norm, x + mixed)
    width = HPARAMS.moe_k * HPARAMS.moe_filter_size
    assert net.hidden.kernel.shape == (HIDDEN_SIZE, width)
    assert output.stats is None
    np.testing.assert_allclose(output.values, expected, atol=1e-3)


def test_gradient_reaches_every_variable_of_the_experts():
    block = tiny_models.perturb(blocks.ExpertBlock(HPARAMS, name="block"))
    x = tf.constant(_sequence())

    with tf.GradientTape() as tape:
        output = block(x, tf.constant(MASK), SPACE_ID, _stream())
        y, loss = output.values, output.balance_loss
        loss += tf.reduce_sum(y * _sequence(seed=1))
    gradients = tape.gradient(loss, block.trainable_variables)

    for variable, gradient in zip(block.trainable_variables, gradients, strict=True):
        assert np.abs(gradient).max() > 0, variable.name
