"""Every registered modality through one battery; registration is enrolment."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import tiny_models
from t2t_mm import modality, registry
from t2t_mm.modality import INPUTS, TARGETS, Embedded

# A new modality needs a spec here.
SPECS = {
    spec.modality: spec
    for spec in (
        tiny_models.AUDIO,
        tiny_models.IMAGE,
        tiny_models.LABEL,
        tiny_models.TEXT,
        tiny_models.WAVEFORM,
    )
}
# Hyperparameters that give a modality another net; the battery covers each.
CHOICES = {
    "audio": [dict(audio_merge_bins=False)],
    "audio_spectral": [dict(audio_merge_bins=False)],
    "class_label": [
        dict(class_label_net=net) for net in ("release", "release_1d", "mean")
    ],
    "image": [
        dict(image_stem_separable=True, image_stem_relu=True),
        dict(image_net="small"),
        dict(image_net="patch", image_patch_size=5),
    ],
}
HIDDEN_SIZE = tiny_models.SIZES["hidden_size"]
LENGTHS = (8, 5, 0)
NAMES = registry.MODALITIES.names()
NETS = [(name, changes) for name in NAMES for changes in ({}, *CHOICES.get(name, ()))]


def _make(name, roles=None, **changes):
    cls = registry.MODALITIES.get(name)
    net = cls(
        SPECS[name],
        tiny_models.make_hparams(**changes),
        cls.supported_roles if roles is None else roles,
        name=name,
    )
    return tiny_models.perturb(net)


def _supports(name, role):
    return role in registry.MODALITIES.get(name).supported_roles


def _of(role):
    return [(name, changes) for name, changes in NETS if _supports(name, role)]


def _body(seed=0):
    values = np.random.default_rng(seed).normal(size=(3, 8, HIDDEN_SIZE))
    return tf.constant(values, tf.float32)


@pytest.mark.parametrize("name", NAMES)
def test_a_modality_is_documented_and_has_a_role(name):
    cls = registry.MODALITIES.get(name)

    assert issubclass(cls, modality.Modality)
    assert cls.__doc__
    assert cls.supported_roles
    assert set(cls.supported_roles) <= {INPUTS, TARGETS}


@pytest.mark.parametrize("name", NAMES)
def test_a_key_names_the_modality(name):
    cls = registry.MODALITIES.get(name)

    assert cls.key(SPECS[name]) == cls.key(SPECS[name])
    assert cls.key(SPECS[name]).startswith(name)


@pytest.mark.parametrize(("name", "changes"), NETS)
def test_axes_of_ids_are_declared(name, changes):
    size = SPECS[name].vocab_size  # no other size is the same
    net = _make(name, **changes)
    axes = {}
    for variable in net.variables:
        if size is not None and size in variable.shape:
            inner = variable.name.removesuffix(":0").partition("/")[2]
            axes[inner] = list(variable.shape).index(size)

    assert axes.items() <= net.id_axes.items()


@pytest.mark.parametrize(("name", "changes"), _of(INPUTS))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bottom_embeds_in_the_space_of_the_body(name, changes, dtype):
    net = _make(name, activation_dtype=dtype, **changes)

    embedded = net.bottom(*tiny_models.make_feature(SPECS[name], LENGTHS, 8))

    batch, length, depth = embedded.values.shape
    assert (batch, depth) == (3, HIDDEN_SIZE)
    assert embedded.values.dtype == dtype
    assert embedded.mask.shape == (batch, length)
    assert embedded.mask.dtype == tf.bool
    assert np.isfinite(tf.cast(embedded.values, tf.float32)).all()
    if embedded.grid is not None:
        assert np.prod(embedded.grid) == length


@pytest.mark.parametrize(("name", "changes"), _of(INPUTS))
def test_data_come_first_and_fillers_are_empty(name, changes):
    net = _make(name, **changes)

    mask = net.bottom(*tiny_models.make_feature(SPECS[name], LENGTHS, 8)).mask.numpy()

    assert mask[0].all()
    assert not mask[2].any()
    assert (np.diff(mask.astype(int), axis=1) <= 0).all()


@pytest.mark.parametrize(("name", "changes"), _of(INPUTS))
def test_a_row_is_embedded_alike_in_any_batch(name, changes):
    net = _make(name, **changes)
    values, lengths = tiny_models.make_feature(SPECS[name], LENGTHS, 8)

    batch, alone = net.bottom(values, lengths), net.bottom(values[1:2], lengths[1:2])

    np.testing.assert_allclose(batch.values[1:2], alone.values, atol=1e-5)


@pytest.mark.parametrize(("name", "changes"), _of(TARGETS))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_top_returns_float32_logits_of_every_id(name, changes, dtype):
    net = _make(name, activation_dtype=dtype, **changes)

    logits = net.top(Embedded(tf.cast(_body(), dtype), tf.sequence_mask(LENGTHS, 8)))

    assert logits.shape == (3, 8 if net.autoregressive else 1, SPECS[name].vocab_size)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits).all()


@pytest.mark.parametrize(("name", "changes"), _of(TARGETS))
def test_the_loss_and_the_metrics_of_a_modality_leave_fillers_out(name, changes):
    net = _make(name, **changes)
    outputs = net.top(Embedded(_body(), tf.sequence_mask(LENGTHS, 8)))
    targets, lengths = tiny_models.make_feature(SPECS[name], LENGTHS, outputs.shape[1])
    mask = tf.sequence_mask(lengths, outputs.shape[1])

    measures = {
        "training": functools.partial(net.loss, training=True),
        "evaluation": functools.partial(net.loss, training=False),
        **net.metrics,
    }
    for measure, function in measures.items():
        whole = function(outputs, targets, mask)
        without_filler = function(outputs[:2], targets[:2], mask[:2])
        nothing = function(outputs[2:], targets[2:], mask[2:])

        assert whole.total.dtype == whole.weight.dtype == tf.float32
        assert whole.total.shape == whole.weight.shape == []
        assert whole.weight > 0, measure
        np.testing.assert_allclose(whole, without_filler, rtol=1e-6)
        np.testing.assert_array_equal(nothing, 0.0)


@pytest.mark.parametrize(("name", "changes"), _of(TARGETS))
def test_a_prediction_is_like_a_target(name, changes):
    net = _make(name, **changes)
    outputs = net.top(Embedded(_body(), tf.sequence_mask(LENGTHS, 8)))

    prediction = net.predict(outputs)

    assert prediction.shape == outputs.shape[:2]
    assert prediction.dtype == SPECS[name].dtype


@pytest.mark.parametrize(("name", "changes"), _of(TARGETS))
def test_autoregressive_targets_are_embedded_one_by_one(name, changes):
    net = _make(name, **changes)
    ids, _ = tiny_models.make_feature(SPECS[name], (4, 4), 4)
    if not net.autoregressive:
        with pytest.raises(ValueError, match="is not autoregressive"):
            net.targets_bottom(ids)
        return

    embedded = net.targets_bottom(ids)

    assert embedded.shape == (2, 4, HIDDEN_SIZE)
    one_by_one = [net.targets_bottom(ids[:, i : i + 1]) for i in range(4)]
    np.testing.assert_allclose(embedded, tf.concat(one_by_one, 1), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_an_unsupported_role_is_an_error(name):
    for role in {INPUTS, TARGETS} - set(registry.MODALITIES.get(name).supported_roles):
        with pytest.raises(ValueError, match=f"'{name}' cannot be used for {role}"):
            _make(name, [role])


@pytest.mark.parametrize("name", NAMES)
def test_methods_of_another_role_say_so(name):
    net = _make(name)
    if not _supports(name, INPUTS):
        with pytest.raises(ValueError, match=f"'{name}' has no inputs"):
            net.bottom(tf.zeros([1, 1], tf.int32), tf.ones([1], tf.int32))
    if not _supports(name, TARGETS):
        with pytest.raises(ValueError, match=f"'{name}' has no targets"):
            net.top(Embedded(_body(), tf.ones([3, 8], tf.bool)))


@pytest.mark.parametrize(("name", "changes"), NETS)
def test_every_variable_has_a_name_of_its_own_and_a_gradient(name, changes):
    net = _make(name, **changes)
    outputs = []
    weights = np.random.default_rng(1)

    with tf.GradientTape() as tape:
        if _supports(name, INPUTS):
            feature = tiny_models.make_feature(SPECS[name], LENGTHS, 8)
            outputs.append(net.bottom(*feature).values)
        if _supports(name, TARGETS):
            outputs.append(net.top(Embedded(_body(), tf.sequence_mask(LENGTHS, 8))))
            if net.autoregressive:
                outputs.append(net.targets_bottom(tf.constant([[3, 4]])))
        loss = tf.add_n(
            [tf.reduce_sum(y * weights.normal(size=y.shape)) for y in outputs]
        )
    gradients = tape.gradient(loss, net.trainable_variables)

    names = [variable.name for variable in net.variables]
    assert len(set(names)) == len(names)
    assert all(variable.startswith(f"{name}/") for variable in names)
    for variable, gradient in zip(names, gradients, strict=True):
        gradient = tf.convert_to_tensor(gradient)
        assert np.isfinite(gradient).all(), variable
        assert np.abs(gradient).max() > 0, variable
