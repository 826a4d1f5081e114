import json
import math

import pytest

from t2t_mm.runs import best_checkpoints
from t2t_mm.training import best_keeper
from t2t_mm.training.watched_metric import WatchedMetric

ACCURACY = WatchedMetric("accuracy", "copy", True)
LOSS = WatchedMetric("loss", None, False)


def make(folder, *metrics):
    """Returns a keeper whose checkpoints are files with the number of the copy."""
    copies = []

    def copy(prefix):
        copies.append(prefix)
        for ending in ("index", "data-00000-of-00001"):
            (folder / f"{prefix}.{ending}").write_text(str(len(copies)))

    return best_keeper.BestKeeper(metrics or (ACCURACY, LOSS), str(folder), copy)


def offer(keeper, step, accuracy, loss):
    keeper.offer(step, {"copy": {"accuracy": accuracy, "loss": loss}})


def steps(folder):
    return {best.metric: best.step for best in best_checkpoints.read_all(str(folder))}


def test_the_best_by_each_metric_is_kept(tmp_path):
    keeper = make(tmp_path)
    for step, accuracy, loss in (
        (10, 0.1, 3.0),
        (20, 0.3, 2.0),
        (30, 0.2, 1.0),
        (40, 0.3, 1.5),
        (50, math.nan, math.nan),
    ):
        offer(keeper, step, accuracy, loss)

    assert steps(tmp_path) == {"copy/accuracy": 20, "loss": 30}
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("ckpt*.index")}
    assert names == {"best/copy.accuracy/ckpt-20.index", "best/loss/ckpt-30.index"}
    assert best_checkpoints.read(str(tmp_path), "loss").value == 1.0


def test_a_resumed_run_remembers_the_best(tmp_path):
    offer(make(tmp_path), 20, 0.3, 2.0)
    resumed = make(tmp_path)

    offer(resumed, 20, 0.3, 2.0)  # once more: the same
    offer(resumed, 30, 0.2, 2.5)

    assert steps(tmp_path) == {"copy/accuracy": 20, "loss": 20}
    assert (tmp_path / "best/loss/ckpt-20.index").read_text() == "2"


def test_a_run_that_died_while_it_kept_the_best_does_it_again(tmp_path, monkeypatch):
    offer(make(tmp_path, LOSS), 20, 0.3, 2.0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(best_checkpoints, "write", _interrupt)
        offer(make(tmp_path, LOSS), 30, 0.2, 1.5)
    path = best_checkpoints.find(str(tmp_path), "best")
    assert path.endswith("ckpt-20")
    assert (tmp_path / f"{path}.index").exists()

    (tmp_path / "best/loss/ckpt-30_temp").mkdir()

    offer(make(tmp_path, LOSS), 30, 0.2, 1.5)

    assert best_checkpoints.find(str(tmp_path), "best").endswith("ckpt-30")
    assert not list(tmp_path.rglob("*_temp"))


def _interrupt(*arguments):
    raise KeyboardInterrupt


def test_the_other_direction_is_refused(tmp_path):
    offer(make(tmp_path, LOSS), 20, 0.3, 2.0)

    with pytest.raises(ValueError, match="best/loss' has the lowest loss"):
        make(tmp_path, WatchedMetric("loss", None, True))


def test_a_choice_between_several_must_be_made(tmp_path):
    offer(make(tmp_path), 20, 0.3, 2.0)
    folder = str(tmp_path)

    found = best_checkpoints.find(folder, "best:copy/accuracy")
    assert found == f"{folder}/best/copy.accuracy/ckpt-20"
    for choice in ("best", "best:bleu"):
        with pytest.raises(LookupError, match="by copy/accuracy and by loss; say"):
            best_checkpoints.find(folder, choice)
    with pytest.raises(LookupError, match="has no best checkpoint"):
        best_checkpoints.find(str(tmp_path / "other"), "best")


def test_a_damaged_note_is_named(tmp_path):
    offer(make(tmp_path, LOSS), 20, 0.3, 2.0)
    (tmp_path / "best/loss/best.json").write_text("{")

    with pytest.raises(ValueError, match=r"best.json' cannot be read"):
        make(tmp_path, LOSS)


def test_a_mean_over_other_problems_begins_anew(tmp_path, caplog):
    offer(make(tmp_path, LOSS), 20, 0.3, 1.0)
    both = {"copy": {"loss": 1.0}, "new": {"loss": 5.0}, "other": {"accuracy": 1.0}}

    make(tmp_path, LOSS).offer(30, both)

    assert steps(tmp_path) == {"loss": 30}
    assert best_checkpoints.read(str(tmp_path), "loss").problems == ["copy", "new"]
    assert "was the mean over copy, and is over copy, new" in caplog.text
    worse = {problem: {"loss": 9.0} for problem in ("copy", "new")}
    make(tmp_path, LOSS).offer(40, worse)
    assert steps(tmp_path) == {"loss": 30}


def test_a_note_of_an_early_version_is_of_the_same_problems(tmp_path):
    offer(make(tmp_path, LOSS), 20, 0.3, 1.0)
    path = tmp_path / "best/loss/best.json"
    note = json.loads(path.read_text())
    del note["problems"]
    path.write_text(json.dumps(note))

    offer(make(tmp_path, LOSS), 30, 0.3, 2.0)

    assert steps(tmp_path) == {"loss": 20}
