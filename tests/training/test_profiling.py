import pytest
import tensorflow as tf
from absl import logging

from t2t_mm.training import profiling
from t2t_mm.training.run_config import RunConfig


@pytest.fixture
def calls(monkeypatch):
    calls = []
    monkeypatch.setattr(
        tf.profiler.experimental, "start", lambda folder: calls.append(folder)
    )
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: calls.append("stop"))
    return calls


def test_the_loop_pauses_where_profiling_starts_and_stops(calls):
    profiler = profiling.Profiler(range(5, 8), "folder")

    assert profiler.pauses(0) == [5, 8]
    assert profiler.pauses(5) == [8]
    assert profiler.pauses(8) == []
    for step in (0, 5, 6, 8, 9):
        profiler.at(step)
    assert calls == ["folder", "stop"]


def test_a_run_that_ends_early_writes_what_there_is(calls):
    profiler = profiling.Profiler(range(5, 8), "folder")

    profiler.at(6)  # a resumed run may begin inside
    profiler.close()
    profiler.close()

    assert calls == ["folder", "stop"]


def test_a_run_that_never_comes_there_says_so(calls, monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *v: lines.append(text % v))
    profiler = profiling.Profiler(range(5, 8), "folder")

    profiler.at(8)  # a run that goes on after them
    profiler.close()

    assert calls == []
    assert lines == ["profile | nothing: no step from 5 to 8 was made."]


def test_no_profile_is_the_default(calls):
    profiler = profiling.Profiler(RunConfig().profiled_steps, "folder")

    assert profiler.pauses(0) == []
    profiler.at(0)
    assert calls == []


@pytest.mark.parametrize("text", ["5", "5:5", "7:5", "a:b", ":7"])
def test_a_profile_that_cannot_be_read_is_refused(text):
    with pytest.raises(ValueError, match=f"must read START:STOP.*got '{text}'"):
        RunConfig(profile=text)
    assert RunConfig(profile="5:7").profiled_steps == range(5, 7)
