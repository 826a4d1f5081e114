"""Against figures of Tensor2Tensor: of its own tests, and computed with v1.15.7."""

import json
import pathlib

import pytest

from t2t_mm.evaluation import t2t_bleu

GOLDENS = json.loads(
    (pathlib.Path(__file__).parents[1] / "goldens" / "bleu.json").read_text("utf-8")
)
PAIRS = {pair["title"]: pair for pair in GOLDENS["file_pairs"]}


def _lines(text):
    return text.split("\n")


@pytest.mark.parametrize("title", PAIRS)
def test_files_score_as_with_the_original(title):
    pair = PAIRS[title]
    lines = _lines(pair["reference_file"]), _lines(pair["hypothesis_file"])

    cased = t2t_bleu.bleu_of_texts(*lines, cased=True)
    uncased = t2t_bleu.bleu_of_texts(*lines, cased=False)

    assert cased == pytest.approx(pair["bleu_cased"], rel=1e-6)
    assert uncased == pytest.approx(pair["bleu_uncased"], rel=1e-6)


@pytest.mark.parametrize("title", PAIRS)
@pytest.mark.parametrize("side", ["reference", "hypothesis"])
def test_texts_are_split_as_by_the_original(title, side):
    lines = _lines(PAIRS[title][f"{side}_file"])

    assert [t2t_bleu.tokenize(x) for x in lines] == PAIRS[title][f"{side}_tokens"]


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("brevity", [True, False])
def test_lists_of_ids_score_as_with_the_original(order, brevity):
    ids = GOLDENS["id_lists_with_padding_counted_as_tokens"]

    score = t2t_bleu.bleu(
        ids["reference"], ids["hypothesis"], max_order=order, brevity_penalty=brevity
    )

    expected = ids[f"bleu_max_order_{order}_brevity_{brevity}"]
    assert score == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("references", "outputs", "expected"),
    [
        ([[1, 2, 3]], [[1, 2, 3]], 1.0),
        ([[5, 6, 7, 8]], [[1, 2, 3, 4]], 0.0798679),
        ([[1, 2, 3, 4], [5, 6, 7, 10]], [[1, 2, 3, 4], [5, 6, 7, 0]], 0.7231),
        (
            [[1, 2, 1, 13], [12, 6, 7, 4, 8, 9, 10]],
            [[1, 2, 1, 3], [5, 6, 7, 4]],
            0.3436,
        ),
        ([[1, 2]], [[]], 0.0),
    ],
)
def test_values_of_the_originals_own_tests(references, outputs, expected):
    assert t2t_bleu.bleu(references, outputs) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (["a b a c", "e f g d"], 0.3436),
        (["a b a c", "e f \u2028 d"], 0.2638),  # a line separator ends no line
    ],
)
def test_texts_of_the_originals_own_tests(outputs, expected):
    references = ["a b a z", "y f g d k l m"]

    score = t2t_bleu.bleu_of_texts(references, outputs, cased=False)

    assert score == pytest.approx(expected, abs=1e-4)
    assert t2t_bleu.tokenize("hi, “there”") == ["hi", ",", "“", "there", "”"]
