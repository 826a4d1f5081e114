import numpy as np
import pytest
import soundfile

from t2t_mm import hparam
from t2t_mm.data import audio_problem, encoding, generation, pipeline
from t2t_mm.features import Split


class _Tones(audio_problem.Audio2TextProblem):
    name = "tones"
    sample_rate = 8000
    num_mel_bins = 13
    vocab_type = "byte"

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for number in range(1, 6):
            yield {"inputs": _tone(1000 * number), "targets": f"{number}"}


def _tone(num_samples):
    return np.sin(np.arange(num_samples) / 5).astype(np.float32)


def test_lengths_are_frames_and_the_rest_is_zero(tmp_path):
    folder = str(tmp_path)
    generation.generate(_Tones(), folder, folder)
    hparams = hparam.HParams(batch_examples=3, max_buckets=1)

    lengths = {}
    for batch in pipeline.eval_dataset(_Tones(), Split.EVAL, folder, hparams):
        values = batch["inputs"].numpy()
        assert values.dtype == np.float32
        assert values.shape[2:] == (13, 1)
        assert values.shape[1] % 8 == 0
        for row, length in enumerate(batch["inputs_length"].numpy()):
            assert not values[row, length:].any()
            assert length == 0 or values[row, length - 1].any()
            text = _Tones().decode_targets(batch["targets"][row].numpy(), "")
            lengths[text] = int(length)

    del lengths[""]  # fillers
    # 20 ms at 8 kHz are 160 samples.
    assert lengths == {"1": 7, "2": 13, "3": 19, "4": 25, "5": 32}


def test_a_spectrogram_does_not_depend_on_its_batch(hparams):
    alone = encoding.encode_batch(_Tones(), [_tone(900)], "", hparams)
    together = encoding.encode_batch(_Tones(), [_tone(1100), _tone(900)], "", hparams)

    (first,), (second,) = list(alone), list(together)
    np.testing.assert_allclose(
        first.features["inputs"][0], second.features["inputs"][1], atol=1e-5
    )


def test_pcm_is_16_bit_little_endian_and_clipped():
    waveform = np.array([0, 1, -1, 7, 0.5], np.float32)

    (content,) = _Tones().encode_inputs(waveform, "")

    assert np.frombuffer(content, "<i2").tolist() == [0, 32767, -32767, 32767, 16384]


@pytest.mark.parametrize(
    "waveform", [np.zeros([0]), np.zeros([3, 2]), np.zeros([3], np.int16)]
)
def test_what_is_no_waveform_is_refused(waveform):
    with pytest.raises(ValueError, match=r"must be float32 of shape \[samples\]"):
        _Tones().encode_inputs(waveform, "")


def test_a_sound_file_is_read_and_its_channels_averaged(tmp_path):
    path = tmp_path / "sound.wav"
    stereo = np.stack([_tone(400), np.zeros(400, np.float32)], axis=1)
    soundfile.write(path, stereo, 8000, subtype="FLOAT")

    np.testing.assert_allclose(_Tones().read_input(str(path)), _tone(400) / 2)


def test_another_sample_rate_is_refused_with_a_remedy(tmp_path):
    path = tmp_path / "sound.wav"
    soundfile.write(path, _tone(400), 16000)

    with pytest.raises(ValueError, match="8000 samples per second.*16000.*sox"):
        _Tones().read_input(str(path))
