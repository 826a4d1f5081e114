import io
import logging as standard_logging

import pytest
from absl import logging

from t2t_mm.training import checkpoint, live_table, progress


class Terminal(io.StringIO):
    """A terminal of 40 x 6 that knows the sequences that are used."""

    def isatty(self):
        return True

    def screen(self):
        """Returns the lines that one would see."""
        lines, row, column = [""], 0, 0
        text = self.getvalue().replace("\x1b[1A", "\x00").replace("\x1b[K", "\x01")
        for character in text:
            if character == "\n":
                row, column = row + 1, 0
                lines += [""] * (row == len(lines))
            elif character == "\r":
                column = 0
            elif character == "\x00":
                row -= 1
            elif character == "\x01":
                lines[row] = lines[row][:column]
            else:
                lines[row] = lines[row][:column] + character
                column += 1
        return [line for line in lines if line]


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "6")
    handler = logging.get_absl_handler()
    filters = list(handler.filters)
    yield Terminal()
    handler.filters[:] = filters


def test_lines_replace_each_other(terminal):
    table = live_table.LiveTable(terminal)

    table.draw(["first", "second", "third"])
    table.draw(["fourth", "fifth"])

    assert terminal.screen() == ["fourth", "fifth"]
    table.clear()
    assert terminal.screen() == []


def test_a_log_line_goes_above(terminal):
    table = live_table.LiveTable(terminal)
    table.draw(["first", "second"])

    record = standard_logging.LogRecord("absl", 20, __file__, 1, "x", (), None)
    assert all(f(record) for f in logging.get_absl_handler().filters)
    terminal.write("logged\n")
    table.draw(["third"])

    assert terminal.screen() == ["logged", "third"]


def test_what_does_not_fit_is_cut(terminal):
    table = live_table.LiveTable(terminal)

    table.draw(["x" * 50] * 7)

    assert terminal.screen() == ["x" * 39] * 4 + ["and 3 more"]


def test_nothing_is_written_to_a_file():
    file = io.StringIO()
    table = live_table.LiveTable(file)

    table.draw(["first"])

    assert file.getvalue() == ""


def test_every_trained_problem_has_a_row_whether_it_was_drawn_or_not():
    state = checkpoint.RunState(["long_name_of_a_problem", "retired", "b"])
    state.counts["retired"].steps = 5
    state.counts["b"].steps = 30
    state.counts["long_name_of_a_problem"].steps = 10
    state.record_losses({"b": 2.5})

    lines = progress.live_rows(
        state,
        ["long_name_of_a_problem", "b"],
        {"b": {"loss": 1.25, "targets_per_second": 900}},
    )

    header, first, second = (line.split() for line in lines)
    assert first == ["long_name_of_a_problem", "10", "25", "%", "-", "-", "-"]
    assert second == ["b", "30", "75", "%", "1.250", "2.500", "900"]
    assert header == "problem steps share loss dev loss targets/s".split()
    assert len({len(line) for line in lines}) == 1
