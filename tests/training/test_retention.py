import pytest

from t2t_mm.runs.checkpoint_files import CheckpointList, Listed
from t2t_mm.training import retention

HOUR = 3600.0


def write(keep, times):
    """Writes a checkpoint at every time in hours; returns the steps that stay."""
    checkpoints, kept_files = CheckpointList(), set()
    for step, hours in enumerate(times, 1):
        checkpoints = retention.add(checkpoints, step, 1e9 + hours * HOUR)
        checkpoints, deleted = retention.apply(keep, checkpoints)
        kept_files = (kept_files | {step}) - set(deleted)
    listed = [entry.step for entry in checkpoints.listed]
    assert set(listed) == kept_files
    return listed


def test_the_newest_are_kept():
    assert write(retention.Retention(newest=2), [0, 1, 2, 3]) == [3, 4]
    assert write(retention.Retention(newest=9), [0, 1, 2, 3]) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("every_hours", "kept"),
    [(1.0, [3, 5, 7, 8]), (1.5, [4, 7, 8]), (50.0, [8])],
)
def test_one_every_some_hours_is_kept_for_good(every_hours, kept):
    keep = retention.Retention(newest=1, every_hours=every_hours)

    times = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]

    assert write(keep, times) == kept


def test_hours_that_are_asked_for_later_keep_nothing_back():
    checkpoints = CheckpointList(
        listed=[Listed(step=s, time=1e9 + s * HOUR) for s in (1, 2, 3)],
        preserved_time=1e9,
    )

    kept = retention.apply(retention.Retention(newest=1, every_hours=2), checkpoints)

    assert [entry.step for entry in kept.checkpoints.listed] == [2, 3]
    assert kept.deleted == [1]


def test_a_run_that_went_back_has_no_later_checkpoints():
    checkpoints = CheckpointList()
    for step in (1, 2, 3):
        checkpoints = retention.add(checkpoints, step, 1e9 + step)

    again = retention.add(checkpoints, 2, 1e9 + 4)

    assert [entry.step for entry in again.listed] == [1, 2]


def test_a_clock_that_was_put_back_deletes_nothing():
    keep = retention.Retention(newest=3)

    assert write(keep, [10.0, 11.0, 2.0, 3.0]) == [2, 3, 4]


def test_a_list_without_a_time_of_preserving_keeps_none_for_good():
    checkpoints = CheckpointList(listed=[Listed(step=1, time=1e9)])

    checkpoints = retention.add(checkpoints, 2, 1e9 + 5)
    kept = retention.apply(retention.Retention(newest=1), checkpoints)

    assert kept.deleted == [1]
