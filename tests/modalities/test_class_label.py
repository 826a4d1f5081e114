import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
import tiny_models
from t2t_mm import registry
from t2t_mm.modality import Embedded

HIDDEN_SIZE, NUM_CLASSES = 12, 11


def _label():
    modality = registry.MODALITIES.get("class_label")(
        tiny_models.LABEL, tiny_models.make_hparams(), ["targets"], name="label"
    )
    return tiny_models.perturb(modality)


def _body(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _exit_flow(label, x):
    """Logits of `[batch, height, width, hidden_size]` without padding."""
    step = reference.image_conv_step_of
    shortcut = step(label.shortcut, x, strides=(2, 2))
    h = step(label.steps[1], step(label.steps[0], x))
    h = shortcut + reference.max_pool(h, (3, 3), (2, 2))
    h = step(label.steps[3], step(label.steps[2], h))
    mean = reference.relu(h).mean((1, 2))
    classes = label.classes
    return mean @ reference.array(classes.kernel) + reference.array(classes.bias)


@pytest.mark.parametrize("grid", [(4, 6), (5, 3), (1, 1)])
def test_an_image_goes_through_the_exit_flow(grid):
    label, x = _label(), _body(2, *grid, HIDDEN_SIZE)
    flat = tf.reshape(x, [2, -1, HIDDEN_SIZE])

    logits = label.top(Embedded(flat, tf.ones(flat.shape[:2], tf.bool), grid))

    assert logits.shape == (2, 1, NUM_CLASSES)
    np.testing.assert_allclose(logits[:, 0], _exit_flow(label, x), atol=1e-3)


def test_a_sequence_is_an_image_of_width_one():
    label, x = _label(), _body(2, 8, HIDDEN_SIZE)

    logits = label.top(Embedded(tf.constant(x), tf.ones([2, 8], tf.bool)))

    np.testing.assert_allclose(
        logits[:, 0], _exit_flow(label, x[:, :, None]), atol=1e-3
    )


@pytest.mark.parametrize("padding", [1, 2, 3, 8])
@pytest.mark.parametrize("length", [1, 4, 7])
def test_padding_changes_nothing(length, padding):
    label = _label()
    x = _body(3, length + padding, HIDDEN_SIZE)
    mask = np.zeros([3, length + padding], bool)
    mask[:, :length] = True
    x[~mask] = 100.0

    short = label.top(Embedded(tf.constant(x[:, :length]), mask[:, :length]))
    long = label.top(Embedded(tf.constant(x), tf.constant(mask)))

    np.testing.assert_allclose(short, long, atol=1e-5)


def test_filler_rows_are_finite():
    label = _label()
    x = tf.Variable(_body(2, 6, HIDDEN_SIZE))

    with tf.GradientTape() as tape:
        logits = label.top(Embedded(x, tf.zeros([2, 6], tf.bool)))
    gradient = tape.gradient(logits, x)

    assert np.isfinite(logits).all()
    np.testing.assert_array_equal(gradient, np.zeros([2, 6, HIDDEN_SIZE]))


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
