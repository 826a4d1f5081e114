import functools
import re

import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
import tiny_models
from t2t_mm import registry
from t2t_mm.features import FeatureSpec
from t2t_mm.models import multimodel_attention as attention
from t2t_mm.models.multimodel_hparams import MultiModelHParams

SPECS = {
    "text": {
        role: FeatureSpec(modality="symbol", vocab_size=13, vocabulary="words")
        for role in ("inputs", "targets")
    },
    "speech": {
        "inputs": FeatureSpec(
            modality="audio_spectral", shape=(None, 5, 1), dtype="float32"
        ),
        "targets": FeatureSpec(modality="symbol", vocab_size=13, vocabulary="words"),
    },
    "picture": {
        "inputs": FeatureSpec(modality="image", shape=(64, 64, 3), dtype="uint8"),
        "targets": FeatureSpec(
            modality="class_label", vocab_size=7, vocabulary="things", shape=(1,)
        ),
    },
}
PARTS = {
    r"encoder_\d": "encoder",
    r"encoder_experts": "encoder experts",
    r"mixer_attention|mixer_\d": "mixer",
    r"mixer_merge": "merge",
    r"decoder_\d": "decoder",
    r"decoder_experts": "decoder experts",
    r"commands": "commands",
    r"symbol_words_13": "language",
    r"image_3": "image",
    r"audio_spectral_5": "audio",
    r"class_label_things_7": "categories",
}
# Section 6.4 of the specification: depth 1024, 240 experts, 8192 ids, 1000 classes.
# Image and audio have ordinary shortcuts (and the image an ordinary stem), which differ
# by 16,389 and by -511 from the separable ones counted there.
PAPER = {
    "encoder": 25_436_160,
    "encoder experts": 503_810_048,
    "mixer": 18_980_864,
    "merge": 2_105_344,
    "decoder": 58_966_016,
    "decoder experts": 503_810_048,
    "commands": 32_768,
    "language": 25_165_824,
    "image": 1_764_955 + 16_389,
    "audio": 1_775_744 - 511,
    "categories": 9_977_320,
}


def _formulas(d, num_experts, vocab_size, num_classes):
    """Numbers of parameters at depth `d`, with all other sizes those of the paper."""
    conv_block = 4 * d**2 + 36 * d + 8 * d
    attention = 2 * (5 * d + d**2 + 2 * d) + 8 * d**2 + 2 * d
    experts = 2 * d * num_experts + 2 * num_experts * d**2 + 2 * d

    def step(before, after, kernel=9):
        return kernel * before + before * after + 2 * after

    def residual(before, after):
        shortcut = before * after + 2 * after
        return step(before, after) + step(after, after) + shortcut

    def chain(block, sizes):
        return sum(map(block, sizes[:-1], sizes[1:]))

    image = 27 * 32 + 64 + 9 * 32 * 64 + 128
    image += chain(residual, [64, min(128, d), min(256, d), d])
    categories = step(d, d) + 2 * step(d, 1024) + step(1024, 1536) + step(1536, 2048)
    return {
        "encoder": 6 * conv_block,
        "encoder experts": experts,
        "mixer": attention + 2 * conv_block,
        "merge": step(2 * d, d, kernel=3),
        "decoder": 4 * (conv_block + attention),
        "decoder experts": experts,
        "commands": 32 * d,
        "language": 3 * vocab_size * d,
        "image": image,
        "audio": chain(residual, [1, 2, 4, 8, 16, 32, 64, 128, 256, d]),
        "categories": categories + 2048 * num_classes + num_classes,
    }


@functools.cache
def _counts(d, num_experts):
    hparams = MultiModelHParams(
        hidden_size=d, moe_num_experts=num_experts, moe_filter_size=d
    )
    model = registry.MODELS.get("multimodel")(hparams, SPECS, name="multimodel")
    counts = dict.fromkeys(PARTS.values(), 0)
    for variable in model.trainable_variables:
        scope = variable.name.split("/")[1].removesuffix(":0")
        (part,) = (name for key, name in PARTS.items() if re.fullmatch(key, scope))
        counts[part] += variable.shape.num_elements()
    return counts


def test_the_formulas_give_the_counts_of_the_paper():
    assert _formulas(1024, 240, 8192, 1000) == PAPER


@pytest.mark.parametrize(("d", "num_experts"), [(8, 5), (24, 6)])
@pytest.mark.parametrize("part", PAPER)
def test_every_part_has_the_parameters_of_the_formulas(part, d, num_experts):
    assert _counts(d, num_experts)[part] == _formulas(d, num_experts, 13, 7)[part]


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
