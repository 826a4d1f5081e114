import json

import pytest

from benchmarks import measure


def test_sides_take_turns_and_every_other_round_goes_backwards():
    calls = []
    sides = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}

    timings = measure.in_turns(sides, repeats=3, warm_ups=1)

    assert "".join(calls) == "ab" + "abbaab"
    assert [len(timing.seconds) for timing in timings.values()] == [3, 3]


def test_spread_is_the_distance_of_the_quartiles():
    timing = measure.Timing((1.0, 2.0, 3.0, 4.0, 9.0))

    assert timing.median == 3.0
    assert timing.spread == pytest.approx((4 - 2) / 3)


def test_ratio_is_of_the_rounds_so_a_slow_phase_of_the_machine_does_not_count():
    slow = measure.Timing((2.0, 20.0, 2.0))
    fast = measure.Timing((1.0, 10.0, 0.5))

    assert measure.times_faster(fast, slow) == 2.0


def test_report_is_json_on_stdout_and_a_table_on_stderr(capsys):
    rows = [{"side": "one", "ms": 1234.0}, {"side": "other", "same": True}]

    measure.report(rows, steps=3)

    printed = capsys.readouterr()
    result = json.loads(printed.out)
    assert result["rows"] == rows
    assert result["steps"] == 3
    assert result["machine"]["threads"] >= 1
    assert printed.err == "side        ms  same\none    1,234.0\nother           True\n"
