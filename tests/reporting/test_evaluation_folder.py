import dataclasses

import matplotlib.image
import numpy as np
import pytest

from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.evaluation.results import Results
from t2t_mm.reporting import confusions, evaluation_folder
from t2t_mm.trained_model import Evaluated


def _results(problem, **options):
    return Results(
        problem=problem,
        split="dev",
        checkpoint="ckpt-5",
        step=5,
        decode_options=options,
        scores={},
        metrics={"log_perplexity": 2.0},
    )


def test_classes_come_with_a_picture_of_their_confusions(tmp_path, registrations):
    pairs = [("3", "3"), ("8", "3")]
    evaluated = Evaluated(_results("mnist"), Predictions.of_pairs(pairs))

    evaluation_folder.write(evaluated, str(tmp_path), vocab_dir=str(tmp_path))

    picture = matplotlib.image.imread(tmp_path / "dev" / "ckpt-5" / "mnist.png")
    assert picture.ndim == 3


def test_outputs_are_on_lines_of_their_own(tmp_path, registrations):
    predictions = Predictions(
        outputs=["a\nb", "c\r"], references=[["d\td", "e\n"], ["c"]]
    )
    evaluated = Evaluated(_results("copy_digits", extra_length=3), predictions)

    evaluation_folder.write(evaluated, str(tmp_path), vocab_dir=str(tmp_path))

    path = tmp_path / "dev" / "ckpt-5.extra_length=3" / "copy_digits.tsv"
    assert path.read_text() == "d d\te \ta b\nc\tc \n"


def test_evaluations_of_different_things_are_kept_apart(tmp_path, registrations):
    results = _results("copy_digits")
    changed = [
        {},
        {"max_batches": 2},
        {"checkpoint": "average.ckpt-5"},
        {"decode_options": {"allowed_outputs": ("a/b",)}},
        {"decode_options": {"allowed_outputs": ("a", "b" * 300)}},
    ]

    for changes in changed:
        evaluated = Evaluated(
            dataclasses.replace(results, **changes), Predictions.of_pairs([("a", "b")])
        )
        evaluation_folder.write(evaluated, str(tmp_path), vocab_dir=str(tmp_path))

    folders = sorted(folder.name for folder in (tmp_path / "dev").iterdir())
    assert folders[0] == "average.ckpt-5" and folders[1] == "ckpt-5"
    assert folders[-1] == "ckpt-5.max_batches=2"
    assert len(folders) == len(list((tmp_path / "summaries").iterdir())) == 5


@pytest.mark.parametrize("size", [2, 10, 60])
def test_any_number_of_classes_can_be_drawn(tmp_path, size):
    counts = np.eye(size, dtype=np.int64)
    counts[1, 1] = 0  # a class without examples

    confusions.draw(
        counts, [f"class {n}" for n in range(size)], str(tmp_path / "x.png")
    )

    assert (tmp_path / "x.png").stat().st_size > 1000
