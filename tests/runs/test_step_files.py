import pytest

from t2t_mm.runs import step_files


@pytest.fixture
def folder(tmp_path):
    for name in ("x-20", "x-3", "x-5.index", "x-3.partial", "x", "y-b-3"):
        (tmp_path / name).touch()
    return tmp_path


def _names(files):
    return [(file.step, file.path.rpartition("/")[2]) for file in files]


def test_files_are_listed_by_step(folder):
    found = _names(step_files.list_files(str(folder)))

    assert found == [(3, "x-3"), (3, "y-b-3"), (20, "x-20")]


def test_files_of_early_steps_are_left_out(folder):
    found = step_files.watch(lambda: step_files.list_files(str(folder)), min_step=4)

    assert _names(found) == [(20, "x-20")]


def test_files_that_come_later_are_waited_for(folder):
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        if len(naps) == 2:
            (folder / "x-30").touch()

    found = step_files.watch(
        lambda: step_files.list_files(str(folder)),
        min_step=20,
        wait_seconds=25,
        sleep=sleep,
    )

    assert _names(found) == [(20, "x-20"), (30, "x-30")]
    assert naps == [10, 10, 10, 10, 5]  # 25 seconds after the last one came
