import json
import os
import subprocess
import sys
import time

import pytest

from t2t_mm.hparam_range import Range
from t2t_mm.hparams_search import results, search, trial_run
from t2t_mm.runs import folder_lock
from t2t_mm.training import watched_metric

# A trainer that takes no time: its loss is the square of the rate, halved at step 2.
TRAINER = """
import json, pathlib, re, signal, sys, time
flags = dict(argument[2:].split("=", 1) for argument in sys.argv[1:])
folder = pathlib.Path(flags["output_dir"])
rate = float(re.search("learning_rate_constant=([^,]+)", flags["hparams"])[1])
def save(*signal):
    (folder / "has_saved").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
if "fail" in flags:
    sys.exit("the trainer cannot do this")
for step in (1, 2):
    row = {"step": step, "problem": "p", "split": "dev", "loss": rate**2 / step}
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps(row) + "\\n")
    if rate > 1.5:
        time.sleep(60)
"""
# A search that waits for its trainer.
SEARCH = """
import sys
from t2t_mm.hparams_search import trial_run
from t2t_mm.training import watched_metric
trial_run._MODULE = "stand_in_for_the_trainer"
loss = watched_metric.parse_name("", "p/loss")
hparams = "--hparams=learning_rate_constant=2.0"
trial_run.run([hparams], sys.argv[1], loss, ["p"], lambda step, value: False)
"""
LOSS = watched_metric.parse_name("", "p/loss")
RATE = Range(kind="float", low=0.1, high=1.0, scale="log")


@pytest.fixture(autouse=True)
def trainer(tmp_path, monkeypatch):
    path = tmp_path / "stand_in_for_the_trainer.py"
    path.write_text(TRAINER)
    monkeypatch.setattr(trial_run, "_MODULE", path.stem)
    monkeypatch.setattr(trial_run, "_POLL_SECONDS", 0.05)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "search").mkdir()
    return tmp_path / "search"


def _search(max_trials, *, arguments=(), ranges=None, **changes):
    settings = {
        "ranges": ranges or {"learning_rate_constant": RATE},
        "objective": LOSS,
        "problems": ["p"],
        "max_trials": max_trials,
        "prune": False,
        "arguments": arguments,
        "hparams": "dropout=0.1",
        "seed": 3,
    }
    return search.Search(**settings | changes)


def _rows(folder):
    header, *rows = (folder / results.FILE).read_text().splitlines()
    names = header.split("\t")
    return [dict(zip(names, row.split("\t"), strict=True)) for row in rows]


def test_the_best_trial_comes_first_and_can_be_repeated(folder):
    table = search.run(_search(4), str(folder))

    rows = _rows(folder)
    losses = [float(row["p/loss"]) for row in rows]
    rates = [float(row["learning_rate_constant"]) for row in rows]
    assert len(rows) == 4
    assert losses == sorted(losses)
    assert losses == pytest.approx([rate**2 / 2 for rate in rates], rel=1e-3)
    assert {row["step"] for row in rows} == {"2"}
    best = table.splitlines()[-1]
    assert best.startswith("The best: --hparams='learning_rate_constant=")
    for number in range(4):
        assert (folder / "trials" / f"trial-{number:04d}" / "metrics.jsonl").exists()


def test_a_search_goes_on_to_a_larger_total(folder):
    search.run(_search(2), str(folder))
    first = {row["trial"]: row for row in _rows(folder)}

    search.run(_search(3), str(folder))

    rows = {row["trial"]: row for row in _rows(folder)}
    assert rows.keys() == {"0", "1", "2"}
    assert first.items() <= rows.items()
    values = [row["learning_rate_constant"] for row in rows.values()]
    assert len(set(values)) == 3


def test_an_interrupted_trial_is_finished_first(folder, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trial_run, "run", interrupt)
        with pytest.raises(KeyboardInterrupt):
            search.run(_search(1), str(folder))

    search.run(_search(1), str(folder))

    (row,) = _rows(folder)
    assert (row["trial"], row["state"]) == ("0", "complete")


def test_hopeless_trials_are_stopped(folder):
    outcome = trial_run.run(
        ["--hparams=learning_rate_constant=2.0"],
        str(folder / "trial"),
        LOSS,
        ["p"],
        lambda step, value: value > 3.0,
    )

    assert outcome.was_stopped
    assert (outcome.step, outcome.value) == (1, 4.0)
    assert search._state(outcome).name == "PRUNED"


def test_trials_that_all_fail_end_the_search_with_their_last_words(folder):
    with pytest.raises(ValueError, match="3 trials .* the trainer cannot do this"):
        search.run(_search(9, arguments=["--fail=1"]), str(folder))

    assert [row["state"] for row in _rows(folder)] == ["fail"] * 3


def test_another_search_in_the_folder_is_refused(folder):
    search.run(_search(1), str(folder))
    wider = {"learning_rate_constant": Range(kind="float", low=0.1, high=2.0)}

    with pytest.raises(ValueError, match="holds a search that differs") as raised:
        search.run(_search(2, ranges=wider), str(folder))

    assert "ranges: " in str(raised.value)
    assert "objective" not in str(raised.value)
    # Longer trials do not compare with those that are there.
    with pytest.raises(ValueError, match="flags:  -> --train_steps=7"):
        search.run(_search(2, arguments=["--train_steps=7"]), str(folder))


def test_a_second_search_at_a_time_is_refused(folder):
    with folder_lock.held(str(folder)):
        with pytest.raises(BlockingIOError, match="one trainer or search at a time"):
            search.run(_search(1), str(folder))


def test_numbers_of_optuna_stand_for_values():
    ranges = {
        "beta": Range(kind="float", low=0.9, high=0.999, scale="reverse_log"),
        "size": Range(kind="discrete", choices=(64, 128, 256)),
        "kernels": Range(kind="categorical", choices=((3, 3), (5, 5))),
        "count": Range(kind="int", low=1, high=4),
    }

    values = search.to_values(
        {"beta": 0.9, "size": 2, "kernels": 0, "count": 3}, ranges
    )

    assert values == {
        "beta": pytest.approx(0.999),
        "size": 256,
        "kernels": (3, 3),
        "count": 3,
    }


def _write(folder, *rows):
    keys = ("step", "problem", "split", "loss")
    lines = [json.dumps(dict(zip(keys, row, strict=True))) for row in rows]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")


def test_an_evaluation_counts_when_all_of_it_is_written(tmp_path):
    loss = watched_metric.parse_name("", "loss")
    rows = [
        (1, "p", "train", 9.0),
        (2, "p", "dev", 1.0),
        (2, "q", "dev", 4.0),
        (4, "p", "dev", 0.5),
        (4, "q", "dev", 3.5),
    ]
    _write(tmp_path, *rows[:4])

    def values(metric, problems=("p", "q")):
        return trial_run.values(metric, problems, str(tmp_path))

    assert values(loss) == {2: 2.5}
    assert values(LOSS) == {2: 1.0}
    _write(tmp_path, *rows)
    assert values(loss) == {2: 2.5, 4: 2.0}
    with pytest.raises(ValueError, match=r"got 'p/los'. Did you mean 'p/loss'"):
        values(watched_metric.parse_name("", "p/los:min"))


def test_a_search_that_is_killed_takes_its_trainer_along(folder, tmp_path):
    trial = folder / "trial"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    killed = subprocess.Popen(
        [sys.executable, "-c", SEARCH, str(trial)],
        env={**os.environ, "PYTHONPATH": path},
    )
    _wait_for(trial / "metrics.jsonl")

    killed.kill()
    killed.wait()

    _wait_for(trial / "has_saved")


def _wait_for(path):
    deadline = time.monotonic() + 300
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
