import io
import json
import os
import pathlib
import threading

import pytest

import stored_runs
from t2t_mm.decoding import batch_decoder, file_decoding, input_lines
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.decoding.output_format import OutputFormat
from t2t_mm.features import Split

CONTENT = b"12\n\n34\n1\xe2\x80\xa82\n\xff7\r\n5\t6\n" + b"9" * 300
TEXTS = ["12", "", "34", "1\u20282", "\ufffd7", "5\t6", "9" * 300]


@pytest.fixture(scope="module")
def decoder(untrained_run_dir):
    config = DecodeConfig(extra_length=3, batch_size=64)
    return stored_runs.make_decoder(untrained_run_dir, "copy_digits", config)


@pytest.fixture(scope="module")
def expected(decoder):
    """The results of `TEXTS`, by the Python interface."""
    texts = [text for text in TEXTS if text]
    found = dict(decoder.search(texts))
    return [found[texts.index(text)] if text else [] for text in TEXTS]


def _job(decoder, weights="weights", **options):
    checkpoints = {"ckpt-2": weights}
    return file_decoding.Job(decoder=decoder, checkpoints=checkpoints, **options)


def _lines(content=CONTENT):
    return input_lines.of_bytes(io.BytesIO(content))


def _decode(decoder, path, content=CONTENT, **options):
    file_decoding.lines_to_file(_job(decoder, **options), _lines(content), str(path))
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    return path.read_bytes().decode()


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"", []),
        (b"12", ["12"]),
        (b"\n\n", ["", ""]),
        (b"\xef\xbb\xbf1\n\xef\xbb\xbf", ["1", "\ufeff"]),
        (CONTENT, TEXTS),
    ],
)
def test_only_a_newline_ends_a_line(content, texts):
    lines = _lines(content)

    assert [line.text for line in lines] == texts
    assert [line.number for line in lines] == list(range(len(texts)))


def test_every_line_gives_a_line_whatever_is_in_it(decoder, tmp_path, caplog, expected):
    caplog.set_level("WARNING")

    outputs = _decode(decoder, tmp_path / "out.txt")

    lines = outputs.removesuffix("\n").split("\n")
    texts = [results[0].text if results else "" for results in expected]
    assert lines == [" ".join(f"{text}.".splitlines())[:-1] for text in texts]
    assert "Line 5: what is not UTF-8" in caplog.text


def test_lines_of_json_have_ids_and_scores(decoder, tmp_path, expected):
    outputs = _decode(decoder, tmp_path / "out.jsonl", output_format=OutputFormat.JSONL)

    rows = [json.loads(line) for line in outputs.split("\n")[:-1]]
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert [row["input"] for row in rows] == TEXTS
    for row, results in zip(rows, expected, strict=True):
        assert row["output"] == (results[0].text if results else "")
        assert [found["ids"] for found in row["results"]] == [r.ids for r in results]
        for found, result in zip(row["results"], results, strict=True):
            assert found["score"] == pytest.approx(result.score, rel=1e-3)


class _StoppedError(Exception):
    pass


def _stopping(monkeypatch, number):
    """Makes decoding stop at a batch; returns the list of the batches."""
    cls, batches = batch_decoder.BatchDecoder, []
    prepare, decode = cls.prepare, cls.decode

    def note(self, *arguments):
        batches.append(prepare(self, *arguments))
        return batches[-1]

    def stop_or_decode(self, batch):
        if len(batches) >= number and batch is batches[number - 1]:
            raise _StoppedError
        return decode(self, batch)

    monkeypatch.setattr(cls, "prepare", note)
    monkeypatch.setattr(cls, "decode", stop_or_decode)
    return batches


def test_what_was_cut_short_goes_on_after_the_last_batch(
    decoder, tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO")
    whole = _decode(decoder, tmp_path / "out.txt")
    (tmp_path / "out.txt").unlink()
    batches = _stopping(monkeypatch, 2)
    with pytest.raises(_StoppedError):
        _decode(decoder, tmp_path / "out.txt")
    with open(tmp_path / "out.txt.partial", "a") as file:
        file.write("[6, [[")  # as if in the middle of a line

    assert _decode(decoder, tmp_path / "out.txt") == whole
    assert "going on after them" in caplog.text
    assert len(batches) == 3


def test_a_journal_of_other_inputs_is_begun_anew(decoder, tmp_path, caplog):
    caplog.set_level("WARNING")
    (tmp_path / "out.txt.partial").write_text('{"inputs": "x"}\n[0, []]\n')

    outputs = _decode(decoder, tmp_path / "out.txt", b"12\n")

    assert outputs.strip()
    assert "is of other inputs" in caplog.text


def test_a_journal_of_other_weights_is_begun_anew(
    decoder, tmp_path, monkeypatch, caplog
):
    with monkeypatch.context() as patch:
        _stopping(patch, 2)
        with pytest.raises(_StoppedError):
            _decode(decoder, tmp_path / "out.txt")
    caplog.set_level("WARNING")

    _decode(decoder, tmp_path / "out.txt", weights="others")  # of the same name

    assert "another checkpoint" in caplog.text


def test_a_split_goes_on_too(decoder, digits_dir, tmp_path, monkeypatch):
    def decode():
        return list(
            file_decoding.split_to_file(
                _job(decoder), Split.EVAL, digits_dir, None, str(target)
            )
        )

    target = tmp_path / "split.txt"
    examples, whole = decode(), target.read_text()
    target.unlink()
    _stopping(monkeypatch, 2)
    with pytest.raises(_StoppedError):
        decode()
    again = decode()

    assert target.read_text() == whole
    assert whole.count("\n") == 60
    outputs = [(example.reference, example.output) for example in examples]
    assert [(example.reference, example.output) for example in again] == outputs
    stream = io.StringIO()
    found = file_decoding.split_to_stream(
        _job(decoder), Split.EVAL, digits_dir, None, stream
    )
    assert len(list(found)) == 60
    assert stream.getvalue() == whole


def test_files_of_a_folder_are_named(decoder, tmp_path):
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "below").mkdir()
    stream = io.StringIO()

    lines = input_lines.of_file(str(tmp_path))
    file_decoding.lines_to_stream(_job(decoder, names_inputs=True), [lines], stream)

    names = [line.split("\t")[0] for line in stream.getvalue().splitlines()]
    assert names == [f"{tmp_path}/a", f"{tmp_path}/b"]


def test_names_of_files_need_not_be_utf8(decoder, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.txt")).touch()
    lines = input_lines.of_file(str(folder))

    for output_format in OutputFormat:
        target = str(tmp_path / output_format)
        job = _job(decoder, names_inputs=True, output_format=output_format)
        file_decoding.lines_to_file(job, lines, target)

        assert f"{folder}/\ufffd.txt" in pathlib.Path(target).read_text()


def test_a_stream_is_answered_as_it_comes(decoder, tmp_path):
    whole = _decode(decoder, tmp_path / "out.txt", b"12\n345\n6\n")
    answers, ticks = io.StringIO(), threading.Event()

    def stream():
        for number, line in enumerate([b"12\n", b"345\n", b"6\n"]):
            yield line
            for _ in range(600):  # until the line has been answered
                if answers.getvalue().count("\n") > number:
                    break
                ticks.wait(0.1)

    groups = list(
        map(len, _recorded(decoder, input_lines.of_stream(stream()), answers))
    )

    assert answers.getvalue() == whole
    assert groups == [1, 1, 1]


def _recorded(decoder, groups, answers):
    seen = []

    def record():
        for group in groups:
            seen.append(group)
            yield group

    file_decoding.lines_to_stream(_job(decoder), record(), answers)
    return seen


def test_a_stream_that_breaks_gives_the_lines_before():
    def stream():
        yield b"1\n"
        raise OSError("the device is gone")

    found = []
    with pytest.raises(OSError, match="device is gone"):
        found.extend(input_lines.of_stream(stream()))

    assert found == [[input_lines.Line(0, "1")]]


def test_lines_that_wait_are_decoded_together():
    lines = [b"%d\n" % number for number in range(3000)]

    groups = list(input_lines.of_stream(iter(lines)))

    found = [line for group in groups for line in group]
    assert [line.text for line in found] == [str(number) for number in range(3000)]
    assert max(map(len, groups)) <= input_lines.LINES_AT_A_TIME
