import numpy as np
from matplotlib import image as image_lib

from t2t_mm.features import Split
from t2t_mm.reporting import curves


def _is_drawn(path):
    pixels = image_lib.imread(path)
    return np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0).shape[0] > 20


def test_a_series_is_in_order_and_the_later_record_counts():
    rows = [
        {"step": 20, "problem": "a", "split": "dev", "accuracy": 0.2},
        {"step": 10, "problem": "a", "split": "dev", "accuracy": 0.1},
        {"step": 20, "problem": "a", "split": "dev", "accuracy": 0.3},
        {"step": 30, "problem": "a", "split": "train", "accuracy": 0.9},
        {"step": 30, "problem": "b", "split": "dev", "accuracy": 0.8},
    ]

    series = curves.read_series(rows, "a", Split.EVAL, "accuracy")

    assert series == ([10, 20], [0.1, 0.3])


def test_metrics_of_numbers_are_told_from_accuracies_and_losses():
    dev = {"step": 10, "problem": "a", "split": "dev", "expert_load": {"x": [1.0]}}
    rows = [
        dev | {"accuracy": 0.5, "neg_log_perplexity": -2.5},
        dev | {"problem": "b", "mean_absolute_error": 0.25},
        {"step": 10, "problem": "b", "split": "train", "loss": 3.5},
    ]

    assert curves.accuracies(rows, "a") == ["accuracy"]
    assert curves.other_metrics(rows, "a") == []
    assert curves.accuracies(rows, "b") == []
    assert curves.other_metrics(rows, "b") == ["mean_absolute_error"]


def test_latest_rows_are_those_of_the_last_evaluation(make_rows):
    latest = curves.latest_rows(make_rows(["a", "b"]))

    assert {name: row["step"] for name, row in latest.items()} == {"a": 300, "b": 300}


def test_curves_are_drawn(make_rows, problems, tmp_path):
    rows = make_rows(problems)

    curves.draw_overview(rows, problems, str(tmp_path / "overview.png"))
    curves.draw_problem(rows, problems[-1], str(tmp_path / "problem.png"))

    assert _is_drawn(tmp_path / "overview.png")
    assert _is_drawn(tmp_path / "problem.png")


def test_curves_need_no_evaluation(make_rows, tmp_path):
    rows = [row for row in make_rows(["a"]) if row["split"] == "train"]

    curves.draw_overview(rows, ["a"], str(tmp_path / "overview.png"))
    curves.draw_problem(rows, "a", str(tmp_path / "problem.png"))

    assert _is_drawn(tmp_path / "overview.png")
    assert _is_drawn(tmp_path / "problem.png")
