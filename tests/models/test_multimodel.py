import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
import tiny_models
from t2t_mm.models import multimodel_attention as attention

# The whole body against the formulas of the paper.

HPARAMS = tiny_models.make_hparams()


@pytest.fixture(scope="module")
def model():
    return tiny_models.perturb(tiny_models.make_model())


def _conv_block(block, x, *, causal, mask=None):
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


def _experts(block, x, mask):
    mixed = reference.experts_of(block.feed_forward.net, x, mask, HPARAMS.moe_k)
    return reference.layer_norm_of(block.layer_norm, x + mixed)


def _attention(block, x, source, source_mask):
    """The block itself, which has a test of its own against NumPy."""
    source = attention.Source(tf.constant(source, tf.float32), tf.constant(source_mask))
    return reference.array(block(tf.constant(x, tf.float32), source, None))


def test_the_body_is_encoder_mixer_and_decoder(model):
    batch = model.prepare(tiny_models.make_batch("text_to_text"), "text_to_text")
    symbol = model.modalities["symbol_words_19"]
    tables = {v.name.split("/")[-1]: reference.array(v) for v in symbol.variables}
    mask = np.arange(9) < np.array([[9], [6]])
    target_mask = np.arange(7) < np.array([[7], [5]])

    logits = model(batch, problem="text_to_text").outputs

    x = tables["input:0"][batch["inputs"]] * 12**0.5
    x = (x + reference.timing_signal(9, 12)) * mask[..., None]
    x = _conv_block(model.encoder_blocks[0], x, causal=False, mask=mask)
    x = _experts(model.encoder_experts, x, mask)
    x = _conv_block(model.encoder_blocks[1], x, causal=False, mask=mask)
    source = x * mask[..., None]

    embedded = tables["target:0"][batch["targets"]] * 12**0.5
    command = np.tile(reference.array(model.commands)[3], (2, 1, 1))  # English tokens
    x = np.concatenate([command, embedded[:, :-1]], 1)
    attended = _attention(model.mixer_attention, x, source, mask)
    x = reference.conv_step_of(
        model.mixer_merge, np.concatenate([attended, x], 2), causal=True
    )
    x = _conv_block(model.mixer_blocks[0], x, causal=True)
    for i in range(2):
        if i == 1:
            x = _experts(model.decoder_experts, x, target_mask)
        layer = model.decoder_layers[i]
        x = _conv_block(layer.conv_block, x, causal=True)
        x = x + _attention(layer.attention, x, source, mask)
    expected = x @ tables["softmax:0"].T

    np.testing.assert_allclose(
        logits.numpy()[target_mask], expected[target_mask], atol=5e-3
    )


@pytest.mark.parametrize("field", ["encoder_moe_after", "decoder_moe_after"])
@pytest.mark.parametrize("after", [0, 2])
def test_experts_may_come_first_or_last(field, after):
    model = tiny_models.perturb(tiny_models.make_model(**{field: after}))
    batch = model.prepare(tiny_models.make_batch("text_to_text"), "text_to_text")

    logits = model(batch, problem="text_to_text").outputs
    encoded = model.encode(batch, problem="text_to_text").embedded
    state = model.init_state(encoded, batch["target_space_id"], max_length=7)
    ids = tf.zeros([2], tf.int32)
    for position in range(3):
        step_logits, state = model.decode_step(
            ids, state, tf.constant(position), problem="text_to_text"
        )
        ids = batch["targets"][:, position]

    np.testing.assert_allclose(step_logits, logits[:, 2], atol=1e-4)


def test_the_balance_losses_are_weighted(model):
    batch = model.prepare(tiny_models.make_batch("text_to_text"), "text_to_text")
    twice = tiny_models.make_model(moe_loss_coef=2 * HPARAMS.moe_loss_coef)
    for variable, other in zip(twice.variables, model.variables, strict=True):
        variable.assign(other)

    losses, doubled = (
        m(batch, problem="text_to_text").extra_losses for m in (model, twice)
    )

    assert set(losses) == {"encoder_experts", "decoder_experts"}
    for name, loss in losses.items():
        assert loss > 0
        np.testing.assert_allclose(doubled[name], 2 * loss, rtol=1e-5)


def test_expert_load_counts_real_positions_of_inputs_and_targets(model):
    batch = model.prepare(tiny_models.make_batch("text_to_text"), "text_to_text")

    experts = model(batch, problem="text_to_text").experts
    load = {name: stats.load for name, stats in experts.items()}

    assert tf.reduce_sum(load["encoder_experts"]) == HPARAMS.moe_k * (9 + 6)
    assert tf.reduce_sum(load["decoder_experts"]) == HPARAMS.moe_k * (7 + 5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(hidden_size=13), r"`hidden_size` \(13\) must be divisible by"),
        (dict(moe_k=6), r"`moe_k` \(6\) must be at most `moe_num_experts` \(5\)"),
        (dict(kernel_sizes=(3, 3)), "`kernel_sizes` must have at least three"),
        (dict(dilation_rates=(1,) * 5), "`dilation_rates` must have as many numbers"),
        (dict(separabilities=(0, 0, 0, 2)), "`separabilities` must be 0 or negative"),
        (dict(separabilities=(0, -5, 0, 0)), "number of groups of a convolution .5."),
        (dict(second_skip="both"), "`second_skip` must be one of input, hidden2, none"),
        (dict(moe_balance="bias"), "needs `moe_router` 'softmax'"),
        (dict(encoder_moe_after=3), r"`encoder_moe_after` must be between 0 and .*2"),
        (dict(decoder_moe_after=-1), "`decoder_moe_after` must be between 0 and"),
        (dict(attention_dropout=1.0), "`attention_dropout` must be at least 0 and"),
        (dict(num_decoder_blocks=0), "`num_decoder_blocks` must be at least 1"),
    ],
)
def test_hparams_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_models.make_hparams(**changes)
