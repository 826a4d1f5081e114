import dataclasses

import pytest

from t2t_mm.features import Split
from t2t_mm.runs import checkpoint_files
from t2t_mm.training import (
    checkpoint_evaluation,
    early_end,
    history,
    preparation,
    run_start,
)


@pytest.fixture(scope="module")
def parts(smallest_settings):
    return preparation.prepare(**smallest_settings)


@pytest.fixture
def copy_dir(smallest_run_dir, tmp_path):
    """Returns a folder with links to the files of the run."""
    for path in smallest_run_dir.iterdir():
        if path.is_file():
            (tmp_path / path.name).hardlink_to(path)
    return tmp_path


def _dev_rows(folder):
    rows = [row for row in history.read(str(folder)) if row["split"] == Split.EVAL]
    return {row["step"]: row for row in rows}


def _forget(folder, *steps):
    """Makes the folder name the checkpoints of these steps only."""
    listed = [checkpoint_files.Listed(step=step, time=1.0) for step in steps]
    checkpoint_files.write_list(
        str(folder), checkpoint_files.CheckpointList(listed=listed)
    )


def test_every_checkpoint_gets_what_the_trainer_recorded(copy_dir, parts):
    before = (copy_dir / "metrics.jsonl").read_bytes()
    evaluations = checkpoint_evaluation.CheckpointEvaluations(
        parts, str(copy_dir), Split.EVAL
    )

    results = evaluations.watch(train_steps=4, timeout_minutes=0)

    outside, inside = (
        _dev_rows(copy_dir / checkpoint_evaluation.FOLDER),
        _dev_rows(copy_dir),
    )
    assert outside == inside
    assert outside.keys() == {2, 4}
    assert results["copy_digits"]["loss"] == inside[4]["loss"]
    assert (copy_dir / "metrics.jsonl").read_bytes() == before


def test_checkpoints_are_evaluated_once_and_as_they_come(copy_dir, parts):
    _forget(copy_dir, 2)
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            _forget(copy_dir, 2, 4)

    def watch():
        evaluations = checkpoint_evaluation.CheckpointEvaluations(
            parts, str(copy_dir), Split.EVAL
        )
        return evaluations.watch(4, timeout_minutes=1, sleep=sleep)

    assert watch().keys() == {"copy_digits"}
    assert len(waits) == 2
    assert watch() == {}  # all of it is there
    assert [
        row["step"]
        for row in history.read(str(copy_dir / checkpoint_evaluation.FOLDER))
    ] == [2, 4]


def test_a_wait_without_a_checkpoint_ends(tmp_path, parts):
    waits = []
    evaluations = checkpoint_evaluation.CheckpointEvaluations(
        parts, str(tmp_path), Split.EVAL
    )

    results = evaluations.watch(4, timeout_minutes=0.5, sleep=waits.append)

    assert results == {}
    assert sum(waits) == 30
    with pytest.raises(FileNotFoundError, match="no checkpoint yet"):
        evaluations.evaluate_newest()
    assert not list(tmp_path.iterdir())


def test_files_that_are_not_listed_yet_are_not_read(copy_dir, parts):
    _forget(copy_dir, 2)
    evaluations = checkpoint_evaluation.CheckpointEvaluations(
        parts, str(copy_dir), Split.EVAL
    )

    evaluations.evaluate_newest()

    assert _dev_rows(copy_dir / checkpoint_evaluation.FOLDER).keys() == {2}
    assert (copy_dir / "ckpt-4.index").exists()


def test_the_newest_is_the_newest_that_is_whole(copy_dir, parts):
    (copy_dir / "checkpoint").unlink()
    (copy_dir / "ckpt-4.index").unlink()
    evaluations = checkpoint_evaluation.CheckpointEvaluations(
        parts, str(copy_dir), Split.EVAL
    )

    evaluations.evaluate_newest()

    assert _dev_rows(copy_dir / checkpoint_evaluation.FOLDER).keys() == {2}


def test_hparams_may_differ_that_no_variable_depends_on(copy_dir, parts):
    def check(**changes):
        hparams = dataclasses.replace(parts.description.hparams, **changes)
        description = dataclasses.replace(parts.description, hparams=hparams)
        run_start.check_fits(description, str(copy_dir))

    check(mixing="equal", batch_size=64)
    with pytest.raises(ValueError, match="hidden_size: "):
        check(hidden_size=48)


def test_a_checkpoint_that_is_gone_is_passed_over(copy_dir, parts):
    for path in copy_dir.glob("ckpt-2.*"):
        path.unlink()
    evaluations = checkpoint_evaluation.CheckpointEvaluations(
        parts, str(copy_dir), Split.TEST
    )

    evaluations.watch(4, timeout_minutes=0)

    rows = history.read(str(copy_dir / checkpoint_evaluation.FOLDER))
    assert [(row["step"], row["split"]) for row in rows] == [(4, "test")]


def test_the_end_of_a_run_that_stopped_early_is_the_end(copy_dir, parts, caplog):
    def watch(train_steps):
        evaluations = checkpoint_evaluation.CheckpointEvaluations(
            parts, str(copy_dir), Split.EVAL
        )
        waits = []
        evaluations.watch(train_steps, timeout_minutes=1, sleep=waits.append)
        return sum(waits)

    early_end.note(str(copy_dir), 4, "loss has not become lower")

    with caplog.at_level("INFO"):
        assert watch(9) == 0
    assert "stopped early at step 4: loss has not become lower." in caplog.text
    early_end.note(str(copy_dir), 4, None)  # the run goes on
    assert watch(9) == 60
