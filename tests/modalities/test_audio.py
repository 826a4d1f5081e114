import dataclasses

import numpy as np
import pytest

import numpy_reference as reference
import tiny_models
from t2t_mm import registry

BINS = 6


def _audio(**changes):
    modality = registry.MODALITIES.get("audio_spectral")(
        tiny_models.AUDIO, tiny_models.make_hparams(**changes), ["inputs"], name="audio"
    )
    return tiny_models.perturb(modality)


def _frames(lengths, padded_length, seed=0):
    return tiny_models.make_feature(tiny_models.AUDIO, lengths, padded_length, seed)


def _blocks(audio, x, halvings, pad_to):
    """ConvRes blocks that halve time `halvings` times, with no mask: no padding."""
    x = np.pad(x, [(0, 0), (0, pad_to - x.shape[1]), (0, 0), (0, 0)])
    for i, block in enumerate(audio.blocks):
        strides = (2 if i < halvings else 1, 1)
        x = reference.conv_res_of(block, x, strides=strides, shortcut_relu=i > 0)
    return x


def test_merged_bins_make_one_position_per_stride():
    audio = _audio(audio_filters=(3, 5), audio_time_stride=4, audio_merge_bins=True)
    frames, lengths = _frames([8, 8], 8)

    embedded = audio.bottom(frames, lengths)

    x = _blocks(audio, reference.array(frames), halvings=2, pad_to=8)
    merged = reference.relu(x.reshape(2, 2, BINS * 5))
    merged = merged @ reference.array(audio.merge.kernel) + audio.merge.bias.numpy()
    expected = reference.layer_norm_of(audio.merge_norm, merged)
    np.testing.assert_allclose(embedded.values, expected, atol=1e-3)
    assert embedded.mask.numpy().all()
    assert embedded.grid is None


def test_every_bin_of_a_frame_is_a_position_in_the_paper():
    audio = _audio(audio_filters=(3, 5), audio_time_stride=8, audio_merge_bins=False)
    frames, lengths = _frames([16, 16], 16)

    embedded = audio.bottom(frames, lengths)

    assert len(audio.blocks) == 3  # the last one leads to the hidden size
    x = _blocks(audio, reference.array(frames), halvings=3, pad_to=16)
    np.testing.assert_allclose(embedded.values, x.reshape(2, 2 * BINS, 12), atol=1e-3)


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_the_time_stride_says_how_many_frames_make_a_position(stride):
    audio = _audio(audio_filters=(3, 5, 7), audio_time_stride=stride)
    frames, lengths = _frames([16, 9, 1, 0], 16)

    embedded = audio.bottom(frames, lengths)

    positions = np.ceil(np.array([16, 9, 1, 0]) / stride)
    assert embedded.values.shape == (4, 16 // stride, 12)
    np.testing.assert_array_equal(embedded.mask.numpy().sum(1), positions)


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("padding", [1, 2, 3, 4, 7, 9])
def test_padding_changes_nothing(merge, padding):
    audio = _audio(audio_merge_bins=merge)
    frames, lengths = _frames([9, 6], 9)
    padded, _ = _frames([9, 6], 9 + padding)

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

    with pytest.raises(ValueError, match="fixed number of frequency bins"):
        registry.MODALITIES.get("audio_spectral")(
            spec, tiny_models.make_hparams(), ["inputs"], name="audio"
        )
