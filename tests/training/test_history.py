import json

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_file_loader

from t2t_mm.features import Split
from t2t_mm.training import history

FILE = history.METRICS_FILE


@pytest.fixture
def recorded(tmp_path):
    """A record of two problems over 30 steps, with an evaluation at 20."""
    record = history.History(str(tmp_path), first_step=0)
    for step in (10, 20, 30):
        for problem in ("copy", "reverse"):
            record.write(step, problem, Split.TRAIN, {"loss": 1.0 / step})
        if step == 20:
            record.write(step, "copy", Split.EVAL, {"loss": 0.1 + 0.2, "b": {"x": [1]}})
            record.write(step, "reverse", Split.EVAL, {"loss": 1e-9, "bleu": 3.5})
    return record


def steps(folder):
    return [row["step"] for row in history.read(str(folder))]


def test_an_evaluation_is_read_back_to_the_bit(recorded):
    assert recorded.recorded(20, Split.EVAL) == {
        "copy": {"loss": 0.1 + 0.2, "b": {"x": [1]}},
        "reverse": {"loss": 1e-9, "bleu": 3.5},
    }
    assert recorded.recorded(30, Split.EVAL) == {}
    assert recorded.recorded(30, Split.TRAIN)["copy"] == {"loss": 1.0 / 30}


def test_resuming_cuts_off_what_is_later(recorded, tmp_path):
    history.History(str(tmp_path), first_step=20)

    assert steps(tmp_path) == [10, 10, 20, 20, 20, 20]
    assert (tmp_path / FILE).read_bytes().endswith(b"}\n")


def test_an_evaluation_can_be_forgotten(recorded, tmp_path):
    resumed = history.History(str(tmp_path), first_step=20)

    resumed.forget(20, Split.EVAL)

    assert steps(tmp_path) == [10, 10, 20, 20]
    resumed.forget(20, Split.TEST)
    assert steps(tmp_path) == [10, 10, 20, 20]


def test_a_line_that_was_cut_off_is_not_read_and_goes_when_resuming(recorded, tmp_path):
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-4])

    assert steps(tmp_path) == [10, 10, 20, 20, 20, 20, 30]
    history.History(str(tmp_path), first_step=30).write(40, "copy", Split.TRAIN, {})
    assert steps(tmp_path) == [10, 10, 20, 20, 20, 20, 30, 40]


def test_a_damaged_line_costs_no_other(recorded, tmp_path, caplog):
    path = tmp_path / FILE
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = b"\x00" * 20 + b"\n"
    path.write_bytes(b"".join(lines))

    history.History(str(tmp_path), first_step=20)

    assert steps(tmp_path) == [10, 20, 20, 20, 20]
    assert "Line 2 of" in caplog.text


def test_rows_begin_as_the_reader_expects(recorded, tmp_path):
    first = (tmp_path / FILE).read_text().splitlines()[0]

    assert list(json.loads(first))[:3] == ["step", "problem", "split"]


def test_resuming_parses_nothing_that_it_keeps(recorded, tmp_path, monkeypatch):
    def refuse(text):
        raise AssertionError("A record of months must not be parsed.")

    monkeypatch.setattr(json, "loads", refuse)

    history.History(str(tmp_path), first_step=30)

    assert (tmp_path / FILE).read_bytes().count(b"\n") == 8


def test_a_record_that_cannot_be_written_is_named(tmp_path):
    record = history.History(str(tmp_path), first_step=0)
    (tmp_path / FILE).mkdir()

    with pytest.raises(OSError, match=r"metrics.jsonl' cannot be written: Is a dir"):
        record.write(1, "copy", Split.TRAIN, {"loss": 1.0})


def test_tensorboard_gets_scalars_and_histograms_under_their_tags(tmp_path):
    record = history.History(str(tmp_path), first_step=0)
    values = {"loss": 1.5, "gate_entropy": {"encoder": 0.25}, "load": {"mixer": [1, 3]}}

    record.write(7, "copy", Split.TRAIN, values)
    record.flush()

    (path,) = (tmp_path / history.SUMMARIES / Split.TRAIN).glob("events.*")
    events = list(event_file_loader.EventFileLoader(str(path)).Load())
    written = {v.tag: (e.step, v) for e in events for v in e.summary.value}
    kinds = {tag: v.metadata.plugin_data.plugin_name for tag, (_, v) in written.items()}
    assert kinds == {
        "copy/loss": "scalars",
        "copy/gate_entropy/encoder": "scalars",
        "copy/load/mixer": "histograms",
    }
    assert {step for step, _ in written.values()} == {7}
    assert tf.make_ndarray(written["copy/loss"][1].tensor) == 1.5
    assert tf.make_ndarray(written["copy/gate_entropy/encoder"][1].tensor) == 0.25
