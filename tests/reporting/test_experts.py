import numpy as np
from matplotlib import image as image_lib

from t2t_mm.reporting import curves, experts


def test_loads_are_by_layer_with_the_encoder_first(make_rows):
    latest = curves.latest_rows(make_rows(["a", "pictures_to_class"]))

    loads = experts.read_loads(latest)

    assert list(loads) == ["encoder_experts", "decoder_experts"]
    assert list(loads["encoder_experts"]) == ["a", "pictures_to_class"]
    assert loads["decoder_experts"] == {"a": [0.5, 0.125, 0.375]}


def test_a_problem_that_skips_a_layer_has_an_empty_row():
    matrix = experts.to_matrix({"a": [0.2, 0.8]}, ["b", "a"])

    np.testing.assert_array_equal(matrix, [[np.nan, np.nan], [0.2, 0.8]])


def test_a_run_without_experts_has_no_loads():
    assert experts.read_loads({"a": {"step": 1, "accuracy": 0.5}}) == {}


def test_loads_are_drawn(make_rows, problems, tmp_path):
    loads = experts.read_loads(curves.latest_rows(make_rows(problems)))

    experts.draw(loads, problems, str(tmp_path / "experts.png"))

    height, width, _ = image_lib.imread(tmp_path / "experts.png").shape
    assert height > 40 * len(problems)
    assert width > 500


def test_many_experts_are_drawn_without_numbers(tmp_path):
    experts.draw({"layer": {"a": [1 / 240] * 240}}, ["a"], str(tmp_path / "e.png"))

    assert (tmp_path / "e.png").stat().st_size > 1000
