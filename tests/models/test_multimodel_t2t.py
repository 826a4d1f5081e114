import collections
import functools

import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
import tiny_models
from t2t_mm import registry
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import randomness
from t2t_mm.training import learning_rate

PROBLEM = "text_to_text"


def _make_model(**changes):
    return tiny_models.perturb(tiny_models.make_model("multimodel_t2t_tiny", **changes))


def _batch(model):
    return model.prepare(tiny_models.make_batch(PROBLEM), PROBLEM)


# Sizes of the original.

TEXT = FeatureSpec(modality="symbol", vocab_size=8192, vocabulary="words")
SPECS = {
    "text": {"inputs": TEXT, "targets": TEXT},
    "speech": {
        "inputs": FeatureSpec(
            modality="audio_spectral", shape=(None, 80, 1), dtype="float32"
        ),
        "targets": TEXT,
    },
    "picture": {
        "inputs": FeatureSpec(modality="image", shape=(299, 299, 3), dtype="uint8"),
        "targets": FeatureSpec(
            modality="class_label", vocab_size=1000, vocabulary="things", shape=(1,)
        ),
    },
}
COUNTS = {
    "encoder": 26_443_776,
    "encoder experts": 251_781_120,
    "decoder": 14_712_320,
    "decoder experts": 62_945_280,
    "commands": 16_384,
    "symbol": 12_582_912,
    "image": 725_088,
    "class": 6_818_408,
    "audio": 718_977,
}


@functools.cache
def _counts():
    """Numbers of parameters; nothing computes their values in a graph of its own."""
    counts = collections.Counter()
    with tf.Graph().as_default():
        hparams = registry.HPARAMS.get("multimodel_t2t")()
        model = registry.MODELS.get("multimodel_t2t")(hparams, SPECS, name="model")
        for variable in model.trainable_variables:
            scope = variable.name.split("/")[1].split(":")[0].split("_")[0]
            experts = " experts" if "/experts/" in variable.name else ""
            counts[scope + experts] += variable.shape.num_elements()
    return counts


@pytest.mark.parametrize("part", COUNTS)
def test_every_part_has_the_parameters_of_the_original(part):
    assert _counts()[part] == COUNTS[part]


# The body against formulas.

SIZE = 36  # more than the 32 channels of the encoder's timing signal


def _experts(layer, x, mask):
    """Two experts a position, scaled because they are not as wide as their input."""
    scale = np.sqrt(x.shape[2] / layer.net.kernel_0.shape[2])
    return scale * reference.experts_of(layer.net, x, mask, 2)


def _conv_branch(branch, x, mask):
    for step, dilation_rate in zip(branch.steps, (1, 1, 1, 4), strict=True):
        x = reference.conv_step_of(step, x, dilation_rate=dilation_rate, mask=mask)
    return x


def _dense(net, x):
    return reference.dense_of(
        net.output, reference.relu(reference.dense_of(net.hidden, x))
    )


def test_the_body_is_encoder_and_decoder():
    model = _make_model(hidden_size=SIZE)
    symbol = model.modalities["symbol_words_19"]
    tables = {v.name.split("/")[-1]: reference.array(v) for v in symbol.variables}
    batch = _batch(model)
    mask = np.arange(9) < np.array([[9], [6]])
    target_mask = np.arange(7) < np.array([[7], [5]])

    logits = model(batch, problem=PROBLEM).outputs

    x = tables["input:0"][batch["inputs"]] * SIZE**0.5 * mask[..., None]
    x[..., :32] += reference.timing_signal(9, 32)
    for layer in model.encoder_layers:
        convolved = _conv_branch(layer.conv_branch, x, mask)
        x = x + convolved + _experts(layer.feed_forward, x, mask)
        x = reference.layer_norm_of(layer.layer_norm, x)

    embedded = tables["target:0"][batch["targets"]] * SIZE**0.5
    command = np.tile(reference.array(model.commands)[3], (2, 1, 1))  # English tokens
    y = np.concatenate([command, embedded[:, :-1]], 1)
    y = y + reference.timing_signal(7, SIZE)
    past = np.tril(np.ones([7, 7], bool))[None]
    for i, layer in enumerate(model.decoder_layers):
        own = reference.attention_of(layer.attention.self_attention, y, y, 3, past)
        source = reference.attention_of(
            layer.attention.source_attention, own, x, 3, mask[:, None]
        )
        y = reference.layer_norm_of(layer.attention.layer_norm, y + own + source)
        net = layer.feed_forward
        y = y + (_experts(net, y, target_mask) if i == 0 else _dense(net, y))
        y = reference.layer_norm_of(layer.layer_norm, y)
    expected = y @ tables["softmax:0"].T

    np.testing.assert_allclose(
        logits.numpy()[target_mask], expected[target_mask], atol=1e-3
    )


def test_experts_are_in_every_layer_of_the_encoder_and_in_moe_layers():
    model = _make_model(moe_layers=(1,))

    output = model(_batch(model), problem=PROBLEM)

    layers = ("encoder_0_experts", "encoder_1_experts", "decoder_1_experts")
    assert tuple(output.experts) == tuple(output.extra_losses) == layers
    load = [tf.reduce_sum(stats.load) for stats in output.experts.values()]
    assert load == [2 * (9 + 6), 2 * (9 + 6), 2 * (7 + 5)]


def test_experts_of_the_encoder_have_the_width_of_its_convolutions():
    model = _make_model(filter_size=14, moe_filter_size=7)

    encoder, decoder = (
        layers[0].feed_forward.net.kernel_0
        for layers in (model.encoder_layers, model.decoder_layers)
    )

    assert encoder.shape == (5, 12, 14)
    assert decoder.shape == (5, 12, 7)


def test_padding_of_the_encoders_output_is_zero():
    model = _make_model()

    encoded = model.encode(_batch(model), problem=PROBLEM).embedded

    assert (encoded.values.numpy()[1, 6:] == 0).all()
    assert (encoded.values.numpy()[1, :6] != 0).all()


@pytest.mark.parametrize(
    "changes",
    [dict(moe_layers=()), dict(moe_layers=(0, 1)), dict(feed_forward="dense")],
)
def test_cached_steps_equal_the_whole_sequence_in_every_form(changes):
    model = _make_model(**changes)
    batch = _batch(model)
    logits = model(batch, problem=PROBLEM).outputs
    encoded = model.encode(batch, problem=PROBLEM).embedded
    state = model.init_state(encoded, batch["target_space_id"], max_length=9)

    ids, stepped = tf.zeros([2], tf.int32), []
    for position in range(5):  # as long as the shorter row
        step, state = model.decode_step(
            ids, state, tf.constant(position), problem=PROBLEM
        )
        stepped.append(step)
        ids = batch["targets"][:, position]

    np.testing.assert_allclose(tf.stack(stepped, 1), logits[:, :5], atol=1e-4)


def test_every_tensor_of_the_state_has_batch_first():
    model = _make_model()
    batch = _batch(model)
    encoded = model.encode(batch, problem=PROBLEM).embedded

    state = model.init_state(encoded, batch["target_space_id"], max_length=9)

    assert {len(leaf) for leaf in tf.nest.flatten(state)} == {2}


@pytest.mark.parametrize("field", ["dropout", "attention_dropout"])
def test_every_dropout_acts_in_training_only(field):
    dense = dict(feed_forward="dense", moe_layers=())  # gates have noise
    model, still = _make_model(**dense, **{field: 0.5}), _make_model(**dense)
    batch = _batch(model)

    def run(model, seed):
        rng = None if seed is None else randomness.RandomStream(tf.constant(seed))
        return model(batch, problem=PROBLEM, rng=rng).outputs.numpy()

    np.testing.assert_array_equal(run(model, None), run(still, None))
    np.testing.assert_array_equal(run(still, [1, 2]), run(still, None))
    assert (run(model, [1, 2]) != run(model, None)).any()
    assert (run(model, [1, 2]) != run(model, [1, 3])).any()


# Presets.


def test_the_learning_rate_is_that_of_the_original():
    hparams = registry.HPARAMS.get("multimodel_t2t")()

    schedule = learning_rate.make_schedule(hparams, 250_000)

    # 0.1 of the set, 5000 of "noam" and 1 / 500 inside its Adam.
    steps = np.array([100, 4000, 16000, 250_000])
    noam = 5000 * 512**-0.5 * np.minimum(steps * 4000**-1.5, steps**-0.5)
    np.testing.assert_allclose(
        [schedule(step) for step in steps], 0.1 * noam / 500, rtol=1e-12
    )
    np.testing.assert_allclose(schedule(4000), 7.0e-4, rtol=2e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(hidden_size=13), r"`hidden_size` \(13\) must be divisible by"),
        (dict(kernel_size=2), "`kernel_size` must be odd.*got 2"),
        (dict(large_kernel_size=14), "`large_kernel_size` must be odd.*got 14"),
        (dict(moe_layers=(0, 2)), r"`moe_layers` must be between 0 and 1.*\(0, 2\)"),
        (dict(moe_k=6), r"`moe_k` \(6\) must be at most `moe_num_experts` \(5\)"),
        (dict(filter_size=0), "`filter_size` must be at least 1"),
        (dict(num_hidden_layers=0), "`num_hidden_layers` must be at least 1"),
        (dict(attention_dropout=1.0), "`attention_dropout` must be at least 0 and"),
    ],
)
def test_hparams_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_models.make_hparams("multimodel_t2t_tiny", **changes)
