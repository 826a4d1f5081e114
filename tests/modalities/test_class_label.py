import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import goldens
import modality_names
import numpy_reference as reference
import original_names
import tiny_models
from t2t_mm import registry
from t2t_mm.layers import compilation
from t2t_mm.modality import Embedded
from t2t_mm.training import metrics

HIDDEN_SIZE, NUM_CLASSES = 12, 11
NETS = ["paper", "release", "release_1d", "mean"]


def _initial_label(net, num_classes=NUM_CLASSES, **changes):
    return registry.MODALITIES.get("class_label")(
        dataclasses.replace(tiny_models.LABEL, vocab_size=num_classes),
        tiny_models.make_hparams(class_label_net=net, **changes),
        ["targets"],
        name="label",
    )


def _label(net="paper", **settings):
    return tiny_models.perturb(_initial_label(net, **settings))


def _body(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _whole(x, grid=None):
    """A batch without padding, flattened."""
    flat = tf.reshape(x, [x.shape[0], -1, x.shape[-1]])
    return Embedded(flat, tf.ones(flat.shape[:2], tf.bool), grid)


@pytest.mark.parametrize("grid", [(4, 6), (5, 3), (1, 1), (13, 20)])
def test_an_image_goes_through_the_exit_flow(grid):
    label, x = _label(), _body(2, *grid, HIDDEN_SIZE)

    logits = label.top(_whole(x, grid))

    assert logits.shape == (2, 1, NUM_CLASSES)
    np.testing.assert_allclose(
        logits[:, 0], reference.exit_flow_of(label, x), atol=1e-3
    )


@pytest.mark.parametrize(
    ("shape", "grid"), [((299, 299), (19, 19)), ((200, 320), (13, 20))]
)
def test_a_real_image_goes_through_both_flows(shape, grid):
    spec = dataclasses.replace(tiny_models.IMAGE, shape=(*shape, 3))
    hparams = tiny_models.make_hparams(image_filters=(7, 8))
    image = registry.MODALITIES.get("image")(spec, hparams, ["inputs"], name="image")
    label, feature = _label(), tiny_models.make_feature(spec, [1], shape[0])

    embedded = image.bottom(*feature)
    logits = label.top(embedded)

    x = embedded.values.numpy().reshape(1, *grid, HIDDEN_SIZE)
    np.testing.assert_allclose(
        logits[:, 0], reference.exit_flow_of(label, x), atol=1e-3
    )


def test_a_sequence_is_an_image_of_width_one():
    label, x = _label(), _body(2, 8, HIDDEN_SIZE)

    logits = label.top(_whole(x))

    expected = reference.exit_flow_of(label, x[:, :, None])
    np.testing.assert_allclose(logits[:, 0], expected, atol=1e-3)


def test_a_spectrogram_keeps_its_bins():
    label, x = _label(), _body(2, 6, 5, HIDDEN_SIZE)

    logits = label.top(_whole(x, (tf.constant(6), 5)))

    expected = reference.exit_flow_of(label, x)
    np.testing.assert_allclose(logits[:, 0], expected, atol=1e-3)


def test_the_mean_of_all_positions_can_be_enough():
    label, x = _label("mean"), _body(2, 8, HIDDEN_SIZE)
    mask = np.arange(8) < np.array([[8], [3]])

    logits = label.top(Embedded(tf.constant(x), tf.constant(mask)))

    mean = np.stack([x[0].mean(0), x[1, :3].mean(0)])
    classes = label.classes
    expected = mean @ reference.array(classes.kernel) + reference.array(classes.bias)
    np.testing.assert_allclose(logits[:, 0], expected, atol=1e-4)


@pytest.mark.parametrize("width", [None, 5])
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("padding", [1, 3])
@pytest.mark.parametrize("length", [1, 6])
def test_padding_changes_nothing(length, padding, net, width):
    label = _label(net)
    x = _body(3, length + padding, width or 1, HIDDEN_SIZE)
    mask = np.zeros([3, length + padding, width or 1], bool)
    mask[:, :length] = True
    x[~mask] = 100.0

    def top(length):
        values = tf.reshape(x[:, :length], [3, -1, HIDDEN_SIZE])
        grid = None if width is None else (tf.constant(length), width)
        return label.top(Embedded(values, tf.reshape(mask[:, :length], [3, -1]), grid))

    np.testing.assert_allclose(top(length), top(length + padding), atol=1e-5)


@pytest.mark.parametrize("net", NETS)
def test_padding_can_count_as_in_the_first_release(net):
    label, x = _label(net, class_label_count_padding=True), _body(2, 8, HIDDEN_SIZE)
    mask = np.arange(8) < np.array([[8], [3]])

    logits = label.top(Embedded(tf.constant(x), tf.constant(mask)))

    np.testing.assert_array_equal(logits, label.top(_whole(x)))


@pytest.mark.parametrize("net", NETS)
def test_filler_rows_are_finite(net):
    label = _label(net)
    x = tf.Variable(_body(2, 6, HIDDEN_SIZE))

    with tf.GradientTape() as tape:
        logits = label.top(Embedded(x, tf.zeros([2, 6], tf.bool)))
    gradient = tape.gradient(logits, x)

    assert np.isfinite(logits).all()
    np.testing.assert_array_equal(gradient, np.zeros([2, 6, HIDDEN_SIZE]))


def test_class_0_counts_in_the_loss_and_in_metrics():
    problem = "image_to_class"
    model = tiny_models.make_model(problems={problem: tiny_models.PROBLEMS[problem]})
    batch = tiny_models.make_batch(problem, target_lengths=(1, 1))
    targets = tf.zeros_like(batch["targets"])

    output = model(
        model.prepare(batch | {"targets": targets}, problem=problem), problem=problem
    )

    log_probabilities = tf.nn.log_softmax(output.outputs)[:, 0, 0]
    assert output.loss.weight == 2
    np.testing.assert_allclose(
        output.loss.total, -tf.reduce_sum(log_probabilities), rtol=1e-5
    )
    mask = tf.ones_like(targets, tf.bool)
    right = metrics.accuracy(tf.one_hot([[0], [3]], NUM_CLASSES), targets, mask)
    assert (right.total, right.weight) == (1, 2)


@pytest.mark.parametrize("spec", [tiny_models.AUDIO, tiny_models.WAVEFORM])
@pytest.mark.parametrize("net", NETS)
def test_sounds_are_classified_alike_however_they_are_padded(net, spec):
    hparams = tiny_models.make_hparams(audio_merge_bins=False)
    modality = registry.MODALITIES.get(spec.modality)
    audio = modality(spec, hparams, ["inputs"], name="audio")
    label = _label(net)

    def classify(padding):
        feature = tiny_models.make_feature(spec, [17, 9], 17 + padding)
        return label.top(audio.bottom(*feature))

    expected = classify(0)
    for padding in (1, 6):
        np.testing.assert_allclose(expected, classify(padding), atol=1e-4)


# "release" is built like "paper"; "mean" has no window.
@pytest.mark.parametrize("net", ["paper", "release_1d"])
def test_sounds_are_classified_alike_for_xla(net):
    hparams = tiny_models.make_hparams(audio_merge_bins=False)
    spec = tiny_models.AUDIO
    audio = registry.MODALITIES.get("audio_spectral")(
        spec, hparams, ["inputs"], name="audio"
    )
    label = _label(net)

    def classify(frames, lengths):
        return label.top(audio.bottom(frames, lengths))

    @tf.function(jit_compile=True)
    def compiled(frames, lengths):
        with compilation.tracing_for_xla():
            return classify(frames, lengths)

    feature = tiny_models.make_feature(spec, [17, 9], 19)
    np.testing.assert_allclose(compiled(*feature), classify(*feature), atol=1e-4)


# Counted by hand from the formulas.
@pytest.mark.parametrize(
    ("net", "hidden_size", "filters", "count"),
    [
        ("paper", 1024, (1024, 1536, 2048), 9_977_320),
        ("release", 1536, (1920, 3072, 3840), 53_483_368),
        ("release", 512, (640, 1024, 1280), 6_818_408),
    ],
)
def test_the_exit_flow_has_as_many_parameters_as_the_equations(
    net, hidden_size, filters, count
):
    label = _initial_label(
        net,
        num_classes=1000,
        hidden_size=hidden_size,
        num_heads=1,
        class_label_filters=filters,
    )

    assert tiny_models.count_parameters(label) == count


def _golden(number):
    """Returns a case and our net for it; the block alone has a class per channel."""
    case = goldens.case("layer_class_label_exit_flow", number)
    size = case["in:x"].shape[-1]
    filters = (5 * size // 4, 2 * size, 5 * size // 2)
    label = _label(
        "release" if case.entry["kernel"] == [3, 3] else "release_1d",
        num_classes=case.entry.get("classes", filters[-1]),
        hidden_size=size,
        num_heads=1,
        class_label_filters=filters,
    )
    return case, label


@pytest.mark.parametrize(
    "number",
    [
        number
        for two_dimensional in (True, False)
        for number in goldens.numbers_of_cases(
            "layer_class_label_exit_flow", two_dimensional=two_dimensional
        )
    ],
)
def test_the_exit_flow_is_that_of_tensor2tensor(number):
    case, label = _golden(number)
    classes, size = case.entry["classes"], case["in:x"].shape[-1]
    original_names.assign(
        label,
        case.variables,
        modality_names.exit_flow("", f"class_label_modality_{classes}_{size}"),
        ignored=modality_names.UNUSED_IN_EXIT_FLOW,
    )
    x = case["in:x"]
    side = int(x.shape[1] ** 0.5)  # the original takes every image to be a square

    logits = label.top(
        _whole(x, (side, side) if case.entry["two_dimensional"] else None)
    )

    case.compare("out:logits", logits)


@pytest.mark.parametrize(
    "number",
    goldens.numbers_of_cases(
        "layer_class_label_exit_flow", title="downsampling block alone, 2-d"
    ),
)
def test_the_downsampling_block_is_that_of_tensor2tensor(number):
    case, label = _golden(number)
    channels = label.classes.kernel.shape[1]
    # With an identity for softmax, the logits are the mean of all positions.
    rows = [
        *modality_names.downsampling(""),
        ("classes/kernel", lambda originals: np.eye(channels)),
        ("classes/bias", lambda originals: np.zeros(channels)),
    ]
    original_names.assign(
        label, case.variables, rows, ignored=modality_names.UNUSED_IN_EXIT_FLOW
    )

    logits = label.top(_whole(case["in:x"], case["in:x"].shape[1:3]))

    expected = reference.relu(case["out:y"]).mean((1, 2))
    goldens.compare(
        f"{case.name}: mean of out:y",
        logits.numpy()[:, 0],
        expected,
        case.tolerance["relative_to_rms"],
    )


def test_labels_of_different_vocabularies_have_their_own_net():
    cls = registry.MODALITIES.get("class_label")
    spec = tiny_models.LABEL

    assert cls.key(spec) == cls.key(dataclasses.replace(spec, space_id=0))
    assert cls.key(spec) != cls.key(dataclasses.replace(spec, vocabulary="clothes"))
    assert cls.key(spec) != cls.key(dataclasses.replace(spec, vocab_size=12))


def test_a_number_of_classes_is_needed():
    spec = dataclasses.replace(tiny_models.LABEL, vocab_size=None)

    with pytest.raises(ValueError, match="'class_label' needs a `vocab_size`"):
        registry.MODALITIES.get("class_label")(
            spec, tiny_models.make_hparams(), ["targets"], name="label"
        )
