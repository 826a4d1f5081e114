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
from t2t_mm.layers import randomness

SPECS = {"audio_spectral": tiny_models.AUDIO, "audio": tiny_models.WAVEFORM}
WIDTH_STRIDES = {"audio_spectral": 1, "audio": 2}
NAMES = sorted(SPECS)
BINS = 6


def _audio(name="audio_spectral", spec=None, **changes):
    modality = registry.MODALITIES.get(name)(
        spec or SPECS[name], tiny_models.make_hparams(**changes), ["inputs"], name=name
    )
    return tiny_models.perturb(modality)


def _frames(lengths, padded_length, seed=0, name="audio_spectral"):
    return tiny_models.make_feature(SPECS[name], lengths, padded_length, seed)


def _strides(audio, halvings, width_stride=1):
    rest = len(audio.blocks) - halvings
    return [(2, width_stride)] * halvings + [(1, 1)] * rest


def _padded(x, length):
    x = reference.array(x)
    return np.pad(x, [(0, 0), (0, length - x.shape[1]), (0, 0), (0, 0)])


def test_merged_bins_make_one_position_per_stride():
    audio = _audio(audio_filters=(3, 5), audio_time_stride=4, audio_merge_bins=True)
    frames, lengths = _frames([8, 8], 8)

    embedded = audio.bottom(frames, lengths)

    # No block leads to the hidden size, so every shortcut has a ReLU.
    x = reference.audio_blocks_of(
        audio, reference.array(frames), strides=_strides(audio, 2), literal=True
    )
    merged = reference.relu(x.reshape(2, 2, BINS * 5))
    merged = merged @ reference.array(audio.merge.kernel) + audio.merge.bias.numpy()
    expected = reference.layer_norm_of(audio.merge_norm, merged)
    np.testing.assert_allclose(embedded.values, expected, atol=1e-3)
    assert embedded.mask.numpy().all()
    assert embedded.grid is None


@pytest.mark.parametrize("literal", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_every_bin_of_a_frame_is_a_position_in_the_paper(name, literal):
    audio = _audio(
        name,
        audio_filters=(3, 5),
        audio_time_stride=8,
        audio_merge_bins=False,
        audio_shortcut_relu=literal,
        audio_shortcut_separable=literal,
    )
    sounds, lengths = _frames([16, 16], 16, name=name)

    embedded = audio.bottom(sounds, lengths)

    assert len(audio.blocks) == 3  # the last one leads to the hidden size
    expected = reference.audio_blocks_of(
        audio,
        reference.array(sounds) / (255 if name == "audio" else 1),
        strides=_strides(audio, 3, WIDTH_STRIDES[name]),
        literal=literal,
    )
    height, width = embedded.grid
    assert (height, width) == (2, BINS if name == "audio_spectral" else 1)
    np.testing.assert_allclose(
        embedded.values, expected.reshape(2, height * width, 12), atol=1e-3
    )


@pytest.mark.parametrize("name", NAMES)
def test_without_padding_to_the_stride_frames_fall_as_tensorflow_pads(name):
    audio = _audio(name, audio_merge_bins=False, audio_pad_to_stride=False)
    sounds, lengths = _frames([13, 13], 13, name=name)

    embedded = audio.bottom(sounds, lengths)

    expected = reference.audio_blocks_of(
        audio,
        reference.array(sounds) / (255 if name == "audio" else 1),
        strides=_strides(audio, 2, WIDTH_STRIDES[name]),
    )
    assert tuple(embedded.grid) == expected.shape[1:3]
    np.testing.assert_allclose(
        tf.reshape(embedded.values, expected.shape), expected, atol=1e-3
    )


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_the_time_stride_says_how_many_frames_make_a_position(stride):
    audio = _audio(audio_filters=(3, 5, 7), audio_time_stride=stride)
    frames, lengths = _frames([16, 9, 1, 0], 16)

    embedded = audio.bottom(frames, lengths)

    positions = np.ceil(np.array([16, 9, 1, 0]) / stride)
    assert embedded.values.shape == (4, 16 // stride, 12)
    np.testing.assert_array_equal(embedded.mask.numpy().sum(1), positions)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("padding", [1, 4, 6])
def test_padding_changes_nothing(name, merge, padding):
    audio = _audio(name, audio_merge_bins=merge)
    frames, lengths = _frames([9, 6], 9, name=name)
    padded, _ = _frames([9, 6], 9 + padding, name=name)

    short, long = audio.bottom(frames, lengths), audio.bottom(padded, lengths)

    end = short.values.shape[1]
    np.testing.assert_allclose(short.values, long.values[:, :end], atol=1e-5)
    np.testing.assert_array_equal(long.values[:, end:], 0.0)
    np.testing.assert_array_equal(short.mask, long.mask[:, :end])
    assert not long.mask.numpy()[:, end:].any()


def test_what_lies_in_padding_does_not_matter():
    audio = _audio()
    frames, lengths = _frames([9, 6], 9)
    other = frames.numpy()
    other[1, 6:] = 100.0

    first, second = audio.bottom(frames, lengths), audio.bottom(other, lengths)

    np.testing.assert_allclose(first.values, second.values, atol=1e-5)


def test_spectrograms_of_other_bins_have_their_own_net():
    cls = registry.MODALITIES.get("audio_spectral")
    other = dataclasses.replace(tiny_models.AUDIO, shape=(None, 7, 1))

    assert cls.key(tiny_models.AUDIO) != cls.key(other)


def test_the_number_of_bins_must_be_fixed():
    spec = dataclasses.replace(tiny_models.AUDIO, shape=(None, None, 1))

    with pytest.raises(ValueError, match="a fixed number of frequency bins"):
        _audio(spec=spec)


@pytest.mark.parametrize("name", NAMES)
def test_sounds_of_20_seconds_go_through_the_paper_s_nine_blocks(name):
    samples, width = {"audio_spectral": (2_000, 80), "audio": (160_000, 2)}[name]
    spec = dataclasses.replace(SPECS[name], shape=(None, width, 1))
    audio = _audio(
        name,
        spec,
        hidden_size=8,
        num_heads=1,
        audio_filters=(2, 4, 8, 8, 8, 8, 8, 8),
        audio_time_stride=512,
        audio_merge_bins=False,
    )
    sounds = np.random.default_rng(0).integers(0, 256, (1, samples, width, 1))

    embedded = audio.bottom(
        tf.constant(sounds.astype(spec.dtype)), tf.constant([samples])
    )

    height, width = {"audio_spectral": (4, 80), "audio": (313, 1)}[name]
    assert embedded.values.shape == (1, height * width, 8)
    assert embedded.mask.numpy().all()
    assert np.isfinite(embedded.values).all()


# Counted by hand from the formulas; separable ones are the paper's equations.
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("hidden_size", "separable", "count"),
    [
        (1024, True, 1_775_744),
        (1024, False, 1_775_233),
        (1536, False, 3_355_777),
        (512, False, 718_977),
    ],
)
def test_the_blocks_have_as_many_parameters_as_the_equations(
    name, hidden_size, separable, count
):
    audio = _audio(
        name,
        hidden_size=hidden_size,
        num_heads=1,
        audio_filters=(2, 4, 8, 16, 32, 64, 128, 256),
        audio_time_stride=512,
        audio_merge_bins=False,
        audio_shortcut_separable=separable,
    )

    assert tiny_models.count_parameters(audio) == count


@pytest.mark.parametrize("number", goldens.numbers_of_cases("layer_audio_bottoms"))
def test_the_blocks_are_those_of_tensor2tensor(number):
    case = goldens.case("layer_audio_bottoms", number)
    name = "audio" if case.entry["title"] == "waveform" else "audio_spectral"
    compression = case.entry["audio_compression"]
    sounds = case["in:x"]
    audio = _audio(
        name,
        dataclasses.replace(SPECS[name], shape=(None, *sounds.shape[2:])),
        hidden_size=case.entry["hidden"],
        audio_filters=tuple(2 ** (i + 1) for i in range(compression)),
        audio_time_stride=2 ** (compression + 1),
        audio_merge_bins=False,
        audio_pad_to_stride=False,
    )
    rows = modality_names.audio("", f"{name}_modality", compression=compression)
    original_names.assign(audio, case.variables, rows)

    embedded = audio.bottom(
        tf.constant(sounds), tf.fill([len(sounds)], sounds.shape[1])
    )

    assert tuple(embedded.grid) == case["out:y"].shape[1:3]
    case.compare("out:y", embedded.values)


def test_derivatives_are_further_channels_with_a_net_of_their_own():
    spec = dataclasses.replace(tiny_models.AUDIO, shape=(None, BINS, 3))
    audio = _audio(spec=spec, audio_filters=(3, 5), audio_time_stride=4)
    frames, lengths = tiny_models.make_feature(spec, [8, 5], 8, 0)

    embedded = audio.bottom(frames, lengths)

    changed = tf.concat([frames[..., :2], frames[..., 2:] + 1], axis=-1)
    other = audio.bottom(changed, lengths)
    assert embedded.values.shape == other.values.shape
    assert np.abs(embedded.values - other.values).max() > 1e-3
    modality_cls = registry.MODALITIES.get("audio_spectral")
    assert modality_cls.key(spec) == "audio_spectral_6x3"
    assert modality_cls.key(tiny_models.AUDIO) == "audio_spectral_6"


AUGMENTED = dict(
    augment_audio_time_warp=0.3,
    augment_audio_frequency_warp=0.3,
    augment_audio_time_masks=2,
    augment_audio_frequency_masks=2,
    augment_audio_frequency_mask_bins=3,
)


def _rng(seed=1):
    return randomness.RandomStream(tf.constant([seed, 7], tf.int32))


def test_spectrograms_are_augmented_in_training_alone():
    plain, augmented = _audio(), _audio(**AUGMENTED)
    frames, lengths = _frames([16, 9, 0], 16)

    expected = plain.bottom(frames, lengths)
    outside = augmented.bottom(frames, lengths)
    training = augmented.bottom(frames, lengths, _rng())

    np.testing.assert_array_equal(outside.values, expected.values)
    np.testing.assert_array_equal(plain.bottom(frames, lengths, _rng())[0], expected[0])
    assert training.values.shape == (3, 6, 12)  # 16 * 1.3 frames, 4 to a position
    assert np.abs(training.values[:, :4] - expected.values).max() > 0.1
    mask = training.mask.numpy()
    assert mask.any(1).tolist() == [True, True, False]
    assert (training.values.numpy()[~mask] == 0).all()
    assert 3 <= mask[0].sum() <= 6


@pytest.mark.parametrize("field", sorted(AUGMENTED))
def test_every_kind_of_augmentation_changes_frames(field):
    needed = {
        "augment_audio_frequency_mask_bins": {"augment_audio_frequency_masks": 1},
    }.get(field, {})
    audio = _audio(**{field: AUGMENTED[field]}, **needed)
    frames, lengths = _frames([24, 21], 24)

    changed, new_lengths = audio.augment(frames, lengths, _rng())

    end = min(changed.shape[1], 24)
    assert np.abs(changed[:, :end] - frames[:, :end]).max() > 0.1
    if field != "augment_audio_time_warp":
        np.testing.assert_array_equal(new_lengths, lengths)


def test_waveforms_are_not_augmented():
    audio = _audio("audio", **AUGMENTED)
    sounds, lengths = _frames([16, 9], 16, name="audio")

    training = audio.bottom(sounds, lengths, _rng())

    np.testing.assert_array_equal(training.values, audio.bottom(sounds, lengths).values)


def test_gradients_of_augmented_sounds_reach_every_variable():
    audio = _audio(**AUGMENTED)
    frames, lengths = _frames([16, 9, 0], 16)

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(audio.bottom(frames, lengths, _rng()).values))
    gradients = tape.gradient(loss, audio.trainable_variables)

    for gradient in gradients:
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0
