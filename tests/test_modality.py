import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

import numpy_reference as reference
import tiny_models
from t2t_mm import modality

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(2, 3, 5)).astype(np.float32)
TARGETS = np.array([[1, 4, 0], [2, 3, 0]], np.int32)
MASK = np.array([[True, True, False], [True, True, True]])


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.6])
def test_the_loss_is_the_divergence_from_the_soft_targets(label_smoothing):
    loss = modality.smoothed_cross_entropy(
        tf.constant(LOGITS), tf.constant(TARGETS), tf.constant(MASK), label_smoothing
    )

    predicted = reference.log_softmax(reference.array(LOGITS))
    total = 0.0
    for row, position in np.argwhere(MASK):
        soft = np.full(5, label_smoothing / 4)
        soft[TARGETS[row, position]] = 1 - label_smoothing
        for probability, log in zip(soft, predicted[row, position], strict=True):
            if probability:
                total += probability * (math.log(probability) - log)
    assert loss.total.numpy() == pytest.approx(total, rel=1e-5)
    assert loss.weight == 5.0


def test_the_soft_targets_themselves_have_no_loss():
    soft = np.full(5, 0.3 / 4)
    soft[2] = 0.7

    loss = modality.smoothed_cross_entropy(
        tf.constant(np.log(soft)[None, None], tf.float32),
        tf.constant([[2]]),
        tf.constant([[True]]),
        0.3,
    )

    assert loss.total.numpy() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_masked_targets_have_no_loss_and_no_gradient(label_smoothing):
    logits = tf.Variable(LOGITS)
    mask = np.array([[True, False, False], [False, False, False]])

    with tf.GradientTape() as tape:
        loss = modality.smoothed_cross_entropy(
            logits, tf.constant(TARGETS), tf.constant(mask), label_smoothing
        )
    gradient = tape.gradient(loss.total, logits).numpy()

    assert loss.weight == 1.0
    np.testing.assert_array_equal(gradient[~mask], 0.0)
    soft = np.full(5, label_smoothing / 4)
    soft[1] = 1 - label_smoothing
    expected = reference.softmax(LOGITS[0, 0]) - soft
    np.testing.assert_allclose(gradient[0, 0], expected, atol=1e-6)


def test_without_targets_the_loss_is_zero():
    loss = modality.smoothed_cross_entropy(
        tf.constant(LOGITS), tf.constant(TARGETS), tf.zeros([2, 3], tf.bool), 0.1
    )

    assert (loss.total, loss.weight) == (0.0, 0.0)


def test_a_certain_prediction_stays_finite():
    logits = tf.constant([[[200.0, 0.0, -200.0]]])

    loss = modality.smoothed_cross_entropy(
        logits, tf.constant([[2]]), tf.constant([[True]]), 0.0
    )

    assert loss.total == 400.0


# The base class.


class _Read(modality.Modality):
    """Of targets that are read off the inputs."""

    autoregressive = False

    def top(self, body_output):
        return body_output.values


def _make(cls, roles=(modality.TARGETS,), label_smoothing=0.1, **changes):
    spec = dataclasses.replace(tiny_models.LABEL, modality="some", **changes)
    hparams = tiny_models.make_hparams(label_smoothing=label_smoothing)
    return cls(spec, hparams, roles, name="some")


@pytest.mark.parametrize(("training", "smoothing"), [(True, 0.3), (False, 0.0)])
def test_the_loss_of_ids_is_smoothed_in_training_only(training, smoothing):
    net = _make(_Read, label_smoothing=0.3)
    arguments = [tf.constant(array) for array in (LOGITS, TARGETS, MASK)]

    loss = net.loss(*arguments, training=training)

    expected = modality.smoothed_cross_entropy(*arguments, smoothing)
    np.testing.assert_array_equal(loss, expected)


def test_the_most_likely_ids_are_predicted():
    predicted = _make(_Read).predict(tf.constant(LOGITS))

    np.testing.assert_array_equal(predicted, LOGITS.argmax(-1))
    assert predicted.dtype == tf.int32


class _NoTop(modality.Modality):
    autoregressive = False


class _NoTargetsBottom(modality.Modality):
    def top(self, body_output):
        return body_output.values


@pytest.mark.parametrize(
    ("cls", "roles", "changes", "message"),
    [
        (_NoTop, ["inputs"], {}, r"'some' \(_NoTop\) must define `bottom` for inputs"),
        (_NoTop, ["targets"], {}, "must define `top` for targets"),
        (
            _NoTargetsBottom,
            ["targets"],
            {},
            "`targets_bottom` .*autoregressive = False",
        ),
        (_Read, ["targets"], {"vocab_size": None}, "define `loss` and `predict`:"),
    ],
)
def test_a_method_that_a_role_needs_must_be_there(cls, roles, changes, message):
    with pytest.raises(ValueError, match=message):
        _make(cls, roles, **changes)


def test_methods_of_a_role_that_nobody_uses_may_be_missing():
    assert _make(_NoTop, roles=[]).roles == frozenset()
