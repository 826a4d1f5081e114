import io

import numpy as np
import pytest
import soundfile
import speech_corpora

from t2t_mm.data import sphere

SAMPLES = np.array([0, 1, -1, 256, -32768, 32767], "<i2")


def decode(content):
    return sphere.decode(content, sphere.parse_header(content))


def test_a_header_has_numbers_and_texts():
    content = speech_corpora.sphere_header(database_id="WSJ 0", sample_count=3)

    header = sphere.parse_header(content + b"\0" * 6)

    assert header.size == 1024
    assert header.fields["sample_count"] == 3
    assert header.fields["sample_max"] == 0.5
    assert header.fields["database_id"] == "WSJ 0"
    assert header.seconds == 3 / 16000
    assert not header.is_compressed


def test_comments_and_empty_lines_of_a_header_are_left_out():
    lines = ["NIST_1A", "   1024", "; made by hand", "", "sample_rate -i 8000"]
    content = "\n".join([*lines, "end_head", ""]).encode().ljust(1024)

    assert sphere.parse_header(content).fields == {"sample_rate": 8000}


def test_the_size_of_the_header_is_its_own():
    header = speech_corpora.sphere_header().replace(b"   1024", b"   2048")

    content = header.ljust(2048) + SAMPLES.tobytes()

    np.testing.assert_allclose(decode(content)[:, 0], SAMPLES / 2**15)


@pytest.mark.parametrize("order", ["01", "10"])
def test_samples_of_two_bytes_are_read_in_both_orders(order):
    samples = SAMPLES if order == "01" else SAMPLES.byteswap()

    found = decode(speech_corpora.sphere(samples, sample_byte_format=order))

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, (SAMPLES / 2**15)[:, np.newaxis])


def test_libsndfile_reads_the_same():
    content = speech_corpora.sphere(SAMPLES)

    expected, _ = soundfile.read(io.BytesIO(content), dtype="float32")

    np.testing.assert_array_equal(decode(content)[:, 0], expected)


def test_samples_of_one_byte_are_read():
    content = speech_corpora.sphere(
        np.array([0, 64, -128], np.int8), sample_n_bytes=1, sample_byte_format="1"
    )

    np.testing.assert_array_equal(decode(content)[:, 0], [0, 0.5, -1])


def test_channels_alternate():
    content = speech_corpora.sphere(SAMPLES, channel_count=2)
    content = content.replace(b"sample_count -i 6", b"sample_count -i 3")

    expected = SAMPLES.reshape(3, 2) / 2**15
    np.testing.assert_array_equal(decode(content), expected)


def test_mu_law_is_as_libsndfile_has_it():
    codes = np.arange(256, dtype=np.uint8)
    content = speech_corpora.sphere(
        codes, sample_coding="ulaw", sample_n_bytes=1, sample_byte_format="1"
    )

    expected, _ = soundfile.read(
        io.BytesIO(codes.tobytes()),
        dtype="float32",
        samplerate=8000,
        channels=1,
        format="RAW",
        subtype="ULAW",
    )
    np.testing.assert_allclose(decode(content)[:, 0], expected)


def test_what_is_behind_the_samples_is_not_sound():
    content = speech_corpora.sphere(SAMPLES) + b"more"

    assert len(decode(content)) == len(SAMPLES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"NIST_1A\n   1024\n", "header must be whole"),
        (b"NIST_1A\nx\n", "header must be whole"),
        (
            speech_corpora.sphere_header(sample_rate="x").replace(b"-s1 x", b"-i x"),
            "header must be whole",
        ),
        (speech_corpora.sphere(SAMPLES)[:-3], "this one is cut off"),
        (
            speech_corpora.sphere(SAMPLES, sample_coding="alaw"),
            "one of pcm, ulaw, mu-law, or compressed PCM; got 'alaw'",
        ),
        (
            speech_corpora.sphere(SAMPLES, sample_byte_format="0123"),
            "got 2 bytes in the order 0123",
        ),
    ],
)
def test_a_damaged_or_strange_file_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        decode(content)


@pytest.mark.parametrize(
    "content",
    [
        speech_corpora.sphere(SAMPLES, sample_coding="pcm,embedded-shorten-v2.00"),
        speech_corpora.sphere_header(sample_count=9) + b"ajkg\2",
    ],
)
def test_compression_is_noticed_whether_it_is_named_or_not(content):
    assert sphere.parse_header(content).is_compressed


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder that is all of the PATH but for cat."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "cat").symlink_to("/bin/cat")
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("name", ["sph2pipe", "ffmpeg"])
def test_a_program_on_the_path_decompresses(name, as_bytes, programs, tmp_path):
    # It gives back what follows the header, and says how it was called.
    (programs / "tail").symlink_to("/usr/bin/tail")
    find = 'for file in "$@"; do case $file in /*) tail -c +1025 "$file";; esac; done'
    script = f'echo "$@" > {tmp_path}/called; {find}'
    speech_corpora.write_program(programs / name, script)
    path = tmp_path / "a b.wv1"
    path.write_bytes(speech_corpora.sphere_header() + b"sound")

    found = sphere.decompress(path.read_bytes() if as_bytes else path)

    assert found == b"sound"
    called = (tmp_path / "called").read_text()
    assert ("-f wav" in called) and (as_bytes or str(path) in called)


def test_without_a_program_the_message_says_which_to_install(programs, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        sphere.decompress(tmp_path / "a.wv1")

    message = str(caught.value)
    assert "the program sph2pipe or ffmpeg on the PATH; neither is there" in message
    assert "apt-get install ffmpeg" in message


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo no such coding >&2; exit 1", "by sph2pipe: no such coding"),
        ("exit 0", "by sph2pipe: it wrote nothing"),
    ],
)
def test_a_program_that_fails_is_named_with_what_it_says(
    script, message, programs, tmp_path
):
    speech_corpora.write_program(programs / "sph2pipe", script)

    with pytest.raises(ValueError, match=message):
        sphere.decompress(tmp_path / "a.wv1")
