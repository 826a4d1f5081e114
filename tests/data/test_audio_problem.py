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
    waveform = np.zeros(200, np.float32)
    waveform[:5] = [0, 1, -1, 7, 0.5]

    (content,) = _Tones().encode_inputs(waveform, "")

    samples = np.frombuffer(content, "<i2")[:5]
    assert samples.tolist() == [0, 32767, -32767, 32767, 16384]


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros([300, 2]), r"float64 of shape \[300, 2\]"),
        (np.zeros([300], np.int16), r"int16 of shape \[300\]"),
        ("sound.wav", "a path, the bytes of a sound file, or floats"),
        (np.zeros([0]), "at least one frame, 25 ms; this one is shorter"),
        (np.zeros([199]), "at least one frame, 25 ms; this one is shorter"),
        (np.zeros([8000 * 60 + 1]), "at most 60 seconds; this one is longer"),
        (np.full([300], np.nan), "must be of finite numbers"),
    ],
)
def test_what_is_no_good_waveform_is_refused(waveform, message):
    with pytest.raises(ValueError, match=message):
        _Tones().encode_inputs(waveform, "")


def test_one_frame_is_enough():
    (content,) = _Tones().encode_inputs(np.zeros([200]), "")

    assert _Tones().inputs_length([content]) == 2  # a step that is begun is a frame


def test_a_file_is_an_input_by_its_path_or_its_content(tmp_path):
    path = tmp_path / "sound.flac"
    soundfile.write(path, _tone(400), 8000)

    expected = _Tones().encode_inputs(_tone(400), "")
    by_path = _Tones().encode_inputs(path, "")
    assert by_path == _Tones().encode_inputs(path.read_bytes(), "")
    difference = np.frombuffer(by_path[0], "<i2") - np.frombuffer(expected[0], "<i2")
    assert np.abs(difference).max() <= 1


def test_the_longest_sound_is_a_choice():
    class Patient(_Tones):
        max_seconds = 61.0

    assert Patient().encode_inputs(np.zeros([8000 * 60 + 1]), "")
    assert Patient().generation_settings() != _Tones().generation_settings()


def test_a_damaged_file_is_a_bad_sample_with_its_name(tmp_path):
    class Damaged(_Tones):
        def generate_samples(self, data_dir, tmp_dir, dataset_split):
            yield from super().generate_samples(data_dir, tmp_dir, dataset_split)
            yield {"inputs": b"noise", "targets": "6", "name": "sound 6"}

    options = generation.GenerationOptions(max_bad_percent=20)

    made = generation.generate(Damaged(), str(tmp_path), str(tmp_path), options)

    ((reason, (count, names, harmless)),) = made.rejected["dev"].items()
    assert reason.startswith("A sound file must be of a format that libsndfile knows")
    assert (count, list(names), harmless) == (1, ["sound 6"], False)


def test_a_sound_file_is_read_and_its_channels_averaged(tmp_path):
    path = tmp_path / "sound.wav"
    stereo = np.stack([_tone(400), np.zeros(400, np.float32)], axis=1)
    soundfile.write(path, stereo, 8000, subtype="FLOAT")

    np.testing.assert_allclose(_Tones().read_input(f"{path}\n"), _tone(400) / 2)


def test_another_sample_rate_is_changed(tmp_path):
    path = tmp_path / "sound.wav"
    soundfile.write(path, _tone(4000), 16000, subtype="FLOAT")

    found = _Tones().read_input(str(path))

    assert len(found) == 2000
    np.testing.assert_allclose(found[100:-100], _tone(4000)[200:-200:2], atol=1e-3)


def test_a_bad_file_of_the_user_is_named(tmp_path):
    (tmp_path / "sound.wav").write_bytes(b"noise")

    with pytest.raises(
        ValueError, match=r"'.*sound.wav' cannot be heard. A sound file"
    ):
        _Tones().read_input(str(tmp_path / "sound.wav"))
    with pytest.raises(FileNotFoundError, match=r"none.wav"):
        _Tones().read_input(str(tmp_path / "none.wav"))


def test_derivatives_are_channels(hparams):
    class Changing(_Tones):
        num_deltas = 2

    (plain,) = encoding.encode_batch(_Tones(), [_tone(900)], "", hparams)
    (deltas,) = encoding.encode_batch(Changing(), [_tone(900)], "", hparams)

    inputs = deltas.features["inputs"].numpy()
    assert inputs.shape[2:] == Changing().inputs_spec("").shape[1:] == (13, 3)
    np.testing.assert_array_equal(inputs[..., :1], plain.features["inputs"])


def test_speech_recognition_has_tensor2tensors_features():
    problem_cls = audio_problem.SpeechRecognitionProblem

    assert problem_cls.num_mel_bins == 80
    assert (problem_cls.frame_length_ms, problem_cls.frame_step_ms) == (25, 10)
    assert problem_cls.num_deltas == 2
