import functools

import numpy as np
import pytest
import tensorflow as tf

import goldens
import numpy_reference as reference
import original_names
import tiny_models
import transformer_names
from t2t_mm import modality, registry
from t2t_mm.decoding import beam, sequential, steps
from t2t_mm.features import EOS_ID, FeatureSpec
from t2t_mm.layers import randomness
from t2t_mm.modality import Embedded
from t2t_mm.models import transformer
from t2t_mm.models.transformer_hparams import TransformerHParams
from t2t_mm.training import learning_rate

# Goldens.

GOLDENS = goldens.names("transformer_")
NORM_POSITIONS = {("n", "da"): "pre", ("none", "dan"): "post"}
EQUAL_FIELDS = (
    "filter_size",
    "hidden_size",
    "num_heads",
    "num_hidden_layers",
    "shared_embedding_and_softmax_weights",
)


def _hparams_of(original):
    """Our hyperparameters for those of the original."""
    sequences = "layer_preprocess_sequence", "layer_postprocess_sequence"
    return TransformerHParams(
        norm_position=NORM_POSITIONS[tuple(original[field] for field in sequences)],
        relative_attention_window=original["max_relative_position"],
        **{field: original[field] for field in EQUAL_FIELDS},
    )


@functools.cache
def _golden(name):
    """A fixture and the model with its variables."""
    fixture = goldens.fixture(name)
    text = FeatureSpec(
        modality="symbol", vocab_size=fixture.entry["vocab"], vocabulary="words"
    )
    model = transformer.Transformer(
        _hparams_of(fixture.entry["hparams"]),
        {"golden": {"inputs": text, "targets": text}},
        name="transformer",
    )
    original_names.assign(model, fixture.variables, transformer_names.ROWS)
    return fixture, model


def _features_of(fixture):
    """A batch, and where inputs and targets are not padding."""
    features, real = {"target_space_id": tf.constant(0)}, {}
    for role in ("inputs", "targets"):
        ids = fixture[f"in:{role}"][:, :, 0, 0]
        real[role] = ids != 0
        features[role] = tf.constant(ids)
        features[f"{role}_length"] = tf.constant(real[role].sum(1), tf.int32)
    return features, real


@pytest.mark.parametrize("name", GOLDENS)
def test_activations_and_logits_equal_the_original(name):
    fixture, model = _golden(name)
    features, real = _features_of(fixture)
    (text,) = model.modalities.values()
    space_id = features["target_space_id"]

    inputs = text.bottom(features["inputs"], features["inputs_length"])
    targets = Embedded(text.targets_bottom(features["targets"]), real["targets"])
    encoded = model.encode_body(inputs, space_id, None).embedded
    decoded = model.decode_body(targets, encoded, space_id, None).embedded
    logits = model(features, problem="golden").outputs

    fixture.compare("act:encoder_in", model.encoder_input(inputs, space_id))
    # Padding goes on through our layers; in the original it skips feed-forward nets.
    fixture.compare("act:encoder_out", encoded.values, mask=real["inputs"])
    # Ours embeds id 0 like any other: no target that counts comes after it.
    decoder_in = model.decoder_input(targets)
    fixture.compare("act:decoder_in", decoder_in, mask=real["targets"])
    fixture.compare("act:decoder_out", decoded.values, mask=real["targets"])
    fixture.compare("out:logits", logits, mask=real["targets"])


@pytest.mark.parametrize("name", GOLDENS)
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_losses_equal_the_original(name, label_smoothing):
    fixture, model = _golden(name)
    features, real = _features_of(fixture)
    targets, mask = features["targets"], real["targets"]
    logits = model(features, problem="golden").outputs

    summed = modality.smoothed_cross_entropy(logits, targets, mask, label_smoothing)
    losses = [
        modality.smoothed_cross_entropy(
            logits[row : row + 1, i : i + 1],
            targets[row : row + 1, i : i + 1],
            mask[row : row + 1, i : i + 1],
            label_smoothing,
        ).total
        for row, i in np.ndindex(mask.shape)
    ]

    fixture.compare(f"loss:xent_weighted_ls{label_smoothing}", losses)
    fixture.compare(f"loss:numerator_ls{label_smoothing}", summed.total)
    fixture.compare("loss:weights", mask)


@pytest.mark.parametrize("name", GOLDENS)
def test_the_loss_of_evaluation_equals_the_original(name):
    fixture, model = _golden(name)

    loss = model(_features_of(fixture)[0], problem="golden").loss

    fixture.compare("loss:training", loss.total / loss.weight)  # without smoothing


def _until_end(ids):
    ended = np.flatnonzero(ids == EOS_ID)
    return ids[: ended[0] + 1] if ended.size else ids


def _search_inputs(name):
    """The step, the state and the lengths of a search of a fixture."""
    fixture, model = _golden(name)
    features, _ = _features_of(fixture)
    length = fixture.entry["decodes"]["greedy"]["total_length"]
    encoded = model.encode(features, problem="golden").embedded
    step = steps.mean_of([functools.partial(model.decode_step, problem="golden")])
    space_id = features["target_space_id"]
    state = (model.init_state(encoded, space_id, max_length=length),)
    rows = len(encoded.mask)
    lengths = dict(
        is_filler=tf.zeros([rows], tf.bool), max_lengths=tf.fill([rows], length)
    )
    return fixture, step, state, lengths


@pytest.mark.parametrize("name", GOLDENS)
def test_greedy_decoding_equals_the_original(name):
    fixture, step, state, lengths = _search_inputs(name)

    decoded = tf.function(sequential.extend)(
        step, state, choose=sequential.best, **lengths
    )

    expected = fixture["decode:greedy:outputs"].reshape(len(decoded.ids), -1)
    for row, expected_row in zip(decoded.ids.numpy(), expected, strict=True):
        np.testing.assert_array_equal(_until_end(row), _until_end(expected_row))
    if name != "transformer_relative":  # the original gives no scores of it
        fixture.compare("decode:greedy:scores", decoded.scores)


@pytest.mark.parametrize("decode", ["beam4_alpha0.6", "beam3_alpha1.0_top1"])
@pytest.mark.parametrize("name", GOLDENS)
def test_beam_search_equals_the_original(name, decode):
    fixture, step, state, lengths = _search_inputs(name)
    entry = fixture.entry["decodes"][decode]
    alpha, count = entry["alpha"], entry["top_beams"]

    found = tf.function(beam.search)(
        step,
        state,
        beam_size=entry["beam_size"],
        alpha=alpha,
        stop_early=count == 1,
        **lengths,
    )

    rows = len(found.ids)
    expected = fixture[f"decode:{decode}:outputs"].reshape(rows, count, -1)
    scores = found.scores.numpy()[:, :count]
    for row, rank in np.ndindex(rows, count):
        ids, expected_ids = found.ids[row, rank].numpy(), expected[row, rank]
        np.testing.assert_array_equal(_until_end(ids), _until_end(expected_ids))
        if scores[row, rank] > beam.NO_SCORE and EOS_ID not in ids:
            # The original gives plain log-probabilities if nothing has ended.
            scores[row, rank] *= ((5 + entry["total_length"]) / 6) ** alpha
    fixture.compare(f"decode:{decode}:scores", scores.reshape(rows, -1).squeeze())


# The body against the formulas of the paper.

PROBLEM = "text_to_text"
PLAIN = dict(relative_attention_window=0, moe_layers=())


def _make_model(**changes):
    return tiny_models.perturb(
        tiny_models.make_model("transformer_tiny_experts", **changes)
    )


def _batch(model):
    return model.prepare(tiny_models.make_batch(PROBLEM), PROBLEM)


class _Reference:
    """Layers in NumPy: x + f(LN(x)), or LN(x + f(x))."""

    def __init__(self, norm_position, num_heads):
        self._norm_first = norm_position == "pre"
        self._num_heads = num_heads

    def _sub_layer(self, layer, x, function):
        norm = functools.partial(reference.layer_norm_of, layer.layer_norm)
        if self._norm_first:
            return x + function(norm(x))
        return norm(x + function(x))

    def attention(self, layer, x, visible, source=None):
        def attend(y):
            memory = y if source is None else source
            return reference.attention_of(
                layer.attention, y, memory, self._num_heads, visible
            )

        return self._sub_layer(layer, x, attend)

    def feed_forward(self, layer, x):
        def dense_relu_dense(y):
            hidden = reference.relu(reference.dense_of(layer.net.hidden, y))
            return reference.dense_of(layer.net.output, hidden)

        return self._sub_layer(layer, x, dense_relu_dense)

    def last_norm(self, layer, x):
        return reference.layer_norm_of(layer, x) if self._norm_first else x


@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_the_body_is_encoder_and_decoder(norm_position):
    model = _make_model(
        norm_position=norm_position,
        shared_embedding_and_softmax_weights=False,
        **PLAIN,
    )
    symbol = model.modalities["symbol_words_19"]
    tables = {v.name.split("/")[-1]: reference.array(v) for v in symbol.variables}
    batch = _batch(model)
    mask = np.arange(9) < np.array([[9], [6]])
    target_mask = np.arange(7) < np.array([[7], [5]])
    net = _Reference(norm_position, num_heads=3)

    logits = model(batch, problem=PROBLEM).outputs

    x = tables["input:0"][batch["inputs"]] * 12**0.5 * mask[..., None]
    x = x + reference.array(model.commands)[3]  # English tokens
    x = x + reference.timing_signal(9, 12)
    for layer in model.encoder_layers:
        x = net.attention(layer.self_attention, x, mask[:, None])
        x = net.feed_forward(layer.feed_forward, x)
    source = net.last_norm(model.encoder_norm, x)

    embedded = tables["target:0"][batch["targets"]] * 12**0.5
    x = np.concatenate([np.zeros([2, 1, 12]), embedded[:, :-1]], 1)
    x = x + reference.timing_signal(7, 12)
    past = np.tril(np.ones([7, 7], bool))[None]
    for layer in model.decoder_layers:
        x = net.attention(layer.self_attention, x, past)
        x = net.attention(layer.source_attention, x, mask[:, None], source)
        x = net.feed_forward(layer.feed_forward, x)
    expected = net.last_norm(model.decoder_norm, x) @ tables["softmax:0"].T

    np.testing.assert_allclose(
        logits.numpy()[target_mask], expected[target_mask], atol=1e-3
    )


def test_the_body_has_the_parameters_of_the_formula():
    model = _make_model(**PLAIN)
    hidden, filters = 12, 14

    counts = {
        part: sum(
            variable.shape.num_elements()
            for variable in model.variables
            if variable.name.startswith(f"transformer/{part}")
        )
        for part in ("encoder", "decoder", "commands")
    }

    feed_forward = 2 * hidden * filters + hidden + filters
    norm = 2 * hidden
    assert counts == {
        "encoder": 2 * (4 * hidden**2 + feed_forward + 2 * norm) + norm,
        "decoder": 2 * (8 * hidden**2 + feed_forward + 3 * norm) + norm,
        "commands": 32 * hidden,
    }


def test_the_command_enters_at_the_encoder_alone():
    model = _make_model()
    batch = _batch(model)
    encoded = model.encode(batch, problem=PROBLEM).embedded
    other = model.encode(
        batch | {"target_space_id": tf.constant(8)}, problem=PROBLEM
    ).embedded
    values = tf.random.stateless_normal([2, 7, 12], [1, 2])
    targets = Embedded(values, tf.ones([2, 7], tf.bool))

    decoded, with_other_command = (
        model.decode_body(targets, encoded, tf.constant(space_id), None).embedded
        for space_id in (3, 8)
    )

    assert np.abs(encoded.values - other.values).max() > 0.01
    np.testing.assert_array_equal(decoded.values, with_other_command.values)


@pytest.mark.parametrize(
    "changes",
    [
        dict(norm_position="post"),
        dict(PLAIN),
        dict(feed_forward="dense"),
        dict(moe_layers=(0, 1), relative_attention_window=1),
    ],
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


def test_experts_are_in_the_layers_that_ask_for_them():
    model = _make_model(moe_layers=(1,))

    output = model(_batch(model), problem=PROBLEM)

    assert set(output.experts) == {"encoder_1_experts", "decoder_1_experts"}
    assert set(output.extra_losses) == set(output.experts)
    load = {name: stats.load for name, stats in output.experts.items()}
    assert tf.reduce_sum(load["encoder_1_experts"]) == 2 * (9 + 6)
    assert tf.reduce_sum(load["decoder_1_experts"]) == 2 * (7 + 5)


# Randomness and presets.


@pytest.mark.parametrize("field", ["dropout", "attention_dropout", "relu_dropout"])
def test_every_dropout_acts_in_training_only(field):
    model = _make_model(**PLAIN, **{field: 0.5})
    still = _make_model(**PLAIN)
    batch = _batch(model)

    def run(model, seed):
        rng = None if seed is None else randomness.RandomStream(tf.constant(seed))
        return model(batch, problem=PROBLEM, rng=rng).outputs.numpy()

    np.testing.assert_array_equal(run(model, None), run(still, None))
    np.testing.assert_array_equal(run(still, [1, 2]), run(still, None))
    assert (run(model, [1, 2]) != run(model, None)).any()
    assert (run(model, [1, 2]) != run(model, [1, 3])).any()


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        # hidden_size, filter_size, num_heads, num_hidden_layers
        ("transformer_base", (512, 2048, 8, 6)),
        ("transformer_big", (1024, 4096, 16, 6)),
        ("transformer_small", (256, 1024, 4, 2)),
        ("transformer_tiny", (128, 512, 4, 2)),
    ],
)
def test_presets_have_the_sizes_of_the_original(name, sizes):
    hparams = registry.HPARAMS.get(name)()

    fields = "hidden_size", "filter_size", "num_heads", "num_hidden_layers"
    assert tuple(getattr(hparams, field) for field in fields) == sizes
    assert hparams.norm_position == "pre"
    assert hparams.shared_embedding_and_softmax_weights
    assert hparams.moe_k * hparams.moe_filter_size == hparams.filter_size


def test_base_and_big_train_as_the_original():
    base, big = (
        registry.HPARAMS.get(name)() for name in ("transformer_base", "transformer_big")
    )
    schedule = learning_rate.make_schedule(base, 100_000)

    assert (base.batch_size, base.dropout, base.clip_grad_norm) == (4096, 0.1, 0.0)
    assert (big.batch_size, big.dropout, big.attention_dropout) == (2048, 0.3, 0.1)
    steps = (100, 4000, 8000, 16000, 100_000)
    expected = (1.2352647e-05, 4.9410588e-04, 9.8821177e-04, 6.9877124e-04, 2.795085e-4)
    np.testing.assert_allclose([schedule(s) for s in steps], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(hidden_size=13), r"`hidden_size` \(13\) must be divisible by"),
        (dict(norm_position="both"), "`norm_position` must be one of pre, post"),
        (dict(moe_layers=(0, 2)), r"`moe_layers` must be between 0 and 1.*\(0, 2\)"),
        (dict(relative_attention_window=-1), "`relative_attention_window` must be at"),
        (dict(relu_dropout=1.0), "`relu_dropout` must be at least 0 and below 1"),
        (dict(num_hidden_layers=0), "`num_hidden_layers` must be at least 1"),
    ],
)
def test_hparams_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_models.make_hparams("transformer_tiny_experts", **changes)
