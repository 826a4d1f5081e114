import io

import numpy as np
import pytest
import soundfile
import speech_corpora
from speech_corpora import sound_bytes, tone

from t2t_mm.data import sound_file

LIMIT = 60.0


def read(source):
    return sound_file.read(source, max_seconds=LIMIT)


@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [
        ({"subtype": "PCM_U8"}, 1e-2),
        ({"subtype": "PCM_16"}, 1e-4),
        ({"subtype": "PCM_24"}, 1e-6),
        ({"subtype": "FLOAT"}, 0),
        ({"subtype": "DOUBLE"}, 1e-7),
        ({"subtype": "ULAW"}, 2e-2),
        ({"format": "FLAC"}, 1e-4),
        ({"format": "AIFF"}, 1e-4),
        ({"format": "OGG"}, 5e-2),
    ],
)
def test_formats_are_read_from_paths_and_from_bytes(kind, tolerance, tmp_path):
    content = sound_bytes(tone(), 16000, **kind)
    path = tmp_path / "sound"
    path.write_bytes(content)

    for source in (content, path):
        waveform, rate = read(source)

        assert rate == 16000
        assert waveform.dtype == np.float32
        np.testing.assert_allclose(waveform, tone(), atol=tolerance)


def test_mp3_is_read():
    content = sound_bytes(tone(1.0), format="MP3")

    waveform, rate = read(content)

    assert rate == 16000
    assert len(waveform) == pytest.approx(16000, abs=2400)


def test_channels_are_averaged():
    stereo = np.stack([tone(), np.zeros(3200, np.float32)], axis=1)

    waveform, _ = read(sound_bytes(stereo, subtype="FLOAT"))

    np.testing.assert_allclose(waveform, tone() / 2)


def test_sphere_is_read_from_paths_and_from_bytes(tmp_path):
    content = speech_corpora.sphere(speech_corpora.pcm(tone()))
    path = tmp_path / "a.wv1"
    path.write_bytes(content)

    for source in (content, path):
        waveform, rate = read(source)

        assert rate == 16000
        np.testing.assert_allclose(waveform, tone(), atol=1e-4)


def test_compressed_sphere_goes_through_a_program(tmp_path, monkeypatch):
    wav = tmp_path / "decoded.wav"
    wav.write_bytes(sound_bytes(tone(), 16000))
    speech_corpora.write_program(tmp_path / "sph2pipe", f"cat {wav}")
    speech_corpora.put_on_path(monkeypatch, tmp_path)
    content = speech_corpora.sphere_header(
        sample_coding="pcm,embedded-shorten-v2.00", sample_count=3200
    )

    waveform, rate = read(content + b"ajkg")

    assert rate == 16000
    np.testing.assert_allclose(waveform, tone(), atol=1e-4)


def unknown_size(content):
    """Returns a WAV file as a program writes it that does not know its size."""
    return content.replace(
        b"data" + (len(content) - 44).to_bytes(4, "little"), b"data" + b"\xff" * 4
    )


def test_a_wav_file_of_unknown_size_is_whole():
    content = unknown_size(sound_bytes(tone()))
    assert b"data\xff\xff\xff\xff" in content

    assert len(read(content).waveform) == len(tone())


@pytest.mark.parametrize(
    "content",
    [
        sound_bytes(tone())[:-1000],
        sound_bytes(tone(1.0), format="FLAC")[:-1000],
        speech_corpora.sphere(speech_corpora.pcm(tone()))[:-100],
    ],
)
def test_a_file_that_is_cut_off_is_refused(content):
    with pytest.raises(ValueError, match="cut off|and whole: "):
        read(content)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no sound at all" * 99])
def test_what_is_no_sound_is_refused(content, tmp_path):
    path = tmp_path / "sound.wav"
    path.write_bytes(content)

    for source in (content, path):
        with pytest.raises(ValueError, match="libsndfile knows, .*Format not recog"):
            read(source)


@pytest.mark.parametrize(
    "content",
    [
        sound_bytes(tone(2.0), format="FLAC"),
        speech_corpora.sphere(speech_corpora.pcm(tone(2.0))),
    ],
)
def test_a_long_sound_is_refused_by_what_its_header_says(content):
    with pytest.raises(ValueError, match=r"at most 1.5 seconds; this one is longer"):
        sound_file.read(content, max_seconds=1.5)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.wav"):
        read(tmp_path / "none.wav")


@pytest.mark.parametrize("sample_rate", [8000, 11025, 22050, 44100, 48000])
def test_a_tone_stays_the_same_at_another_rate(sample_rate):
    found = sound_file.resample(tone(1.0, 440, sample_rate), sample_rate, 16000)

    assert found.dtype == np.float32
    assert len(found) == 16000
    inner = slice(1000, -1000)  # the filter reaches over the ends
    np.testing.assert_allclose(found[inner], tone(1.0)[inner], atol=1e-3)


def test_what_a_lower_rate_cannot_hold_is_gone_not_folded_back():
    above = tone(1.0, 7000, 16000)

    found = sound_file.resample(above, 16000, 8000)

    assert np.abs(found[500:-500]).max() < 1e-3


def test_libsndfile_still_notes_what_a_header_promises():
    content = sound_bytes(tone())[:-1000]

    assert "should be" in soundfile.SoundFile(io.BytesIO(content)).extra_info
