import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import tiny_models
from t2t_mm import modality, registry
from t2t_mm.features import FeatureSpec, SpaceId
from t2t_mm.layers import randomness
from tiny_models import AUDIO, IMAGE, LABEL, TEXT

FRENCH = dataclasses.replace(TEXT, space_id=SpaceId.FR_TOK)
LETTERS = dataclasses.replace(TEXT, vocabulary="letters")


def _names(model):
    return {variable.name for variable in model.variables}


def test_problems_of_one_vocabulary_share_their_tables():
    one = tiny_models.make_model(problems={"a": dict(inputs=TEXT, targets=FRENCH)})
    two = tiny_models.make_model(
        problems={
            "a": dict(inputs=TEXT, targets=FRENCH),
            "b": dict(inputs=FRENCH, targets=TEXT),
        }
    )

    assert _names(one) == _names(two)
    assert sum("/symbol_" in name for name in _names(two)) == 3


def test_another_vocabulary_has_tables_of_its_own():
    model = tiny_models.make_model(
        problems={
            "a": dict(inputs=TEXT, targets=TEXT),
            "b": dict(inputs=LETTERS, targets=TEXT),
        }
    )

    tables = {name for name in _names(model) if "/symbol_" in name}
    assert tables == {
        "multimodel/symbol_letters_19/input:0",
        "multimodel/symbol_words_19/input:0",
        "multimodel/symbol_words_19/softmax:0",
        "multimodel/symbol_words_19/target:0",
    }


def test_initial_values_do_not_depend_on_the_other_problems():
    small = tiny_models.make_model(problems={"a": dict(inputs=TEXT, targets=TEXT)})
    large = tiny_models.make_model()

    values = {variable.name: variable for variable in large.variables}
    assert len(values) > len(small.variables)
    for variable in small.variables:
        np.testing.assert_array_equal(variable, values[variable.name])


def test_vocabulary_files_make_readable_names():
    spec = dataclasses.replace(TEXT, vocabulary="vocab.ende.8192.subwords")

    model = tiny_models.make_model(problems={"a": dict(inputs=spec, targets=spec)})

    assert "multimodel/symbol_vocab_ende_8192_subwords_19/input:0" in _names(model)


def test_vocabularies_whose_names_collide_are_refused():
    problems = {}
    for vocabulary in ("vocab.a", "vocab_a"):
        spec = dataclasses.replace(TEXT, vocabulary=vocabulary)
        problems[vocabulary] = dict(inputs=spec, targets=spec)

    with pytest.raises(ValueError, match="repeated: .*symbol_vocab_a_19"):
        tiny_models.make_model(problems=problems)


def test_a_modality_must_support_its_role():
    with pytest.raises(ValueError, match="'class_label' cannot be used for inputs"):
        tiny_models.make_model(problems={"a": dict(inputs=LABEL, targets=TEXT)})
    with pytest.raises(ValueError, match="'image' cannot be used for targets"):
        tiny_models.make_model(problems={"a": dict(inputs=TEXT, targets=IMAGE)})


def test_an_unknown_modality_is_named():
    spec = dataclasses.replace(TEXT, modality="symbols")

    with pytest.raises(LookupError, match="'symbols'. Did you mean 'symbol'?"):
        tiny_models.make_model(problems={"a": dict(inputs=spec, targets=TEXT)})


def test_a_class_of_nothing_is_refused():
    with pytest.raises(ValueError, match="'guessing' has no inputs.*'class_label'"):
        tiny_models.make_model(problems={"guessing": dict(targets=LABEL)})


def test_without_inputs_the_memory_is_the_command():
    model = tiny_models.make_model(problems={"counting": dict(targets=FRENCH)})
    batch = {"targets": tf.zeros([2, 5], tf.int32), "targets_length": [5, 0]}

    encoded = model.encode(model.prepare(batch, "counting"), problem="counting")

    command = model.commands[int(SpaceId.FR_TOK)]
    np.testing.assert_array_equal(encoded.embedded.values, [[command], [command]])
    np.testing.assert_array_equal(encoded.embedded.mask, [[True], [True]])


@pytest.fixture(scope="module")
def model():
    return tiny_models.make_model(
        problems={
            "ende": dict(inputs=TEXT, targets=TEXT),
            "enfr": dict(inputs=TEXT, targets=FRENCH),
            "spelling": dict(inputs=TEXT, targets=LETTERS),
            "small_image": dict(inputs=IMAGE, targets=LABEL),
            "large_image": dict(
                inputs=dataclasses.replace(IMAGE, shape=(32, 32, 3)), targets=LABEL
            ),
            "speech": dict(inputs=AUDIO, targets=TEXT),
        }
    )


def test_problems_that_differ_in_the_command_only_share_a_graph(model):
    assert model.graph_key("ende") == model.graph_key("enfr")


def test_problems_of_other_nets_or_shapes_have_their_own_graph(model):
    keys = {model.graph_key(name) for name in model.problems}

    assert len(keys) == len(model.problems) - 1


def test_the_command_is_the_space_of_the_targets(model):
    batch = {"inputs": tf.zeros([1, 2], tf.int32)}

    prepared = model.prepare(batch, "enfr")

    assert prepared["target_space_id"] == SpaceId.FR_TOK
    assert set(batch) == {"inputs"}


def test_the_signature_fits_batches_of_any_size(model):
    assert model.signature("speech") == {
        "inputs": tf.TensorSpec([None, None, 6, 1], tf.float32, "inputs"),
        "inputs_length": tf.TensorSpec([None], tf.int32, "inputs_length"),
        "targets": tf.TensorSpec([None, None], tf.int32, "targets"),
        "targets_length": tf.TensorSpec([None], tf.int32, "targets_length"),
        "target_space_id": tf.TensorSpec([], tf.int32, "target_space_id"),
    }
    assert model.signature("large_image")["inputs"] == tf.TensorSpec(
        [None, 32, 32, 3], tf.uint8, "inputs"
    )


def test_classes_are_not_autoregressive(model):
    assert model.is_autoregressive("ende")
    assert not model.is_autoregressive("small_image")


def test_images_share_a_net_whatever_their_size_but_not_their_channels():
    grey = dataclasses.replace(IMAGE, shape=(24, 40, 1))
    large = dataclasses.replace(IMAGE, shape=(32, 40, 3))
    problems = {"colour": IMAGE, "large": large, "grey": grey}
    net = tiny_models.make_model(
        problems={
            name: dict(inputs=spec, targets=LABEL) for name, spec in problems.items()
        }
    )

    assert {"image_1", "image_3"} <= net.modalities.keys()
    assert sum(key.startswith("image") for key in net.modalities) == 2
    for name, spec in problems.items():
        batch = {
            "inputs": tf.zeros([2, *spec.shape], tf.uint8),
            "inputs_length": tf.constant([1, 0]),
        }
        predicted = net.predict(net.prepare(batch, name), problem=name)
        assert predicted.shape == (2, 1)


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        (TEXT, "symbol_words_19"),
        (dataclasses.replace(TEXT, shape=(5,)), "symbol_words_19"),
        (FeatureSpec(modality="real", shape=(3,)), "real_3"),
        (FeatureSpec(modality="real", shape=(None, 3)), "real_nx3"),
        (FeatureSpec(modality="real"), "real"),
    ],
)
def test_numbers_of_other_sizes_have_nets_of_their_own(spec, key):
    assert modality.Modality.key(spec) == key


class _Numbers(modality.Modality):
    """Two numbers, which the body gives without a net."""

    autoregressive = False

    def top(self, body_output):
        return tf.reduce_mean(body_output.values, 1)[:, :2]

    def loss(self, outputs, targets, mask, *, training):
        weights = tf.where(mask, 3.0 if training else 1.0, 0.0)
        errors = weights * tf.square(outputs - targets)
        return modality.LossTerms(tf.reduce_sum(errors), tf.reduce_sum(weights))

    def predict(self, outputs):
        return 10.0 * outputs


@pytest.fixture
def numbers_model(monkeypatch):
    entries = registry.MODALITIES._entries | {"numbers": _Numbers}
    monkeypatch.setattr(registry.MODALITIES, "_entries", entries)
    spec = FeatureSpec(modality="numbers", shape=(2,), dtype="float32")
    return tiny_models.make_model(
        problems={"text_to_numbers": dict(inputs=TEXT, targets=spec)}
    )


@pytest.mark.parametrize(("training", "weight"), [(True, 3.0), (False, 1.0)])
def test_a_modality_takes_the_loss_of_its_targets(numbers_model, training, weight):
    inputs, inputs_length = tiny_models.make_feature(TEXT, (5, 3, 0), 8)
    targets = np.array([[0.5, -2.0], [3.0, 0.25], [0.0, 0.0]], np.float32)
    batch = {
        "inputs": inputs,
        "inputs_length": inputs_length,
        "targets": tf.constant(targets),
        "targets_length": tf.constant([2, 2, 0]),
    }
    rng = randomness.RandomStream(tf.constant([1, 2])) if training else None

    output = numbers_model(
        numbers_model.prepare(batch, "text_to_numbers"),
        problem="text_to_numbers",
        rng=rng,
    )

    outputs = output.outputs.numpy()
    assert outputs.shape == (3, 2)
    squares = np.square(outputs[:2] - targets[:2]).sum()
    assert output.loss.total.numpy() == pytest.approx(weight * squares, rel=1e-5)
    assert output.loss.weight == 4 * weight


def test_a_modality_says_what_is_predicted(numbers_model):
    inputs, inputs_length = tiny_models.make_feature(TEXT, (5, 3), 8)
    batch = {"inputs": inputs, "inputs_length": inputs_length}
    features = numbers_model.prepare(batch, "text_to_numbers")

    predicted = numbers_model.predict(features, problem="text_to_numbers")

    encoded = numbers_model.encode(features, problem="text_to_numbers").embedded.values
    expected = 10.0 * encoded.numpy().mean(1)[:, :2]
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)


def test_the_signature_of_numbers_is_float(numbers_model):
    signature = numbers_model.signature("text_to_numbers")

    assert signature["targets"] == tf.TensorSpec([None, 2], tf.float32, "targets")
