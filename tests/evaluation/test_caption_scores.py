import numpy as np
import pytest

from t2t_mm.evaluation import caption_scores, scores
from t2t_mm.evaluation.predictions import Predictions

CAPTIONS = Predictions(
    outputs=[
        "a man rides a brown horse on the beach",
        "two dogs play in the snow",
        "a red bus",
        "the cat sat on the mat",
    ],
    references=[
        [
            "a man riding a brown horse on a beach",
            "a man rides a horse by the sea",
            "someone on a horse",
        ],
        ["two dogs run through the snow", "dogs playing in the snow"],
        ["a red double decker bus on the street", "a bus"],
        ["the cat sat on the mat"],
    ],
)


def _values(name, outputs, references):
    predictions = Predictions(outputs=outputs, references=references)
    return scores.scorer(name).values(predictions)


@pytest.mark.parametrize(
    ("name", "value"),
    # What pycocoevalcap 1.2 gives for these captions; it splits them at the spaces.
    [("cider", 4.434861566743685), ("rouge_l", 0.8792929292929292)],
)
def test_captions_score_as_in_the_coco_evaluation(name, value):
    assert scores.score([name], CAPTIONS)[name].value == pytest.approx(value, rel=1e-12)


def test_rouge_l_weighs_recall_of_the_longest_common_subsequence():
    # "a c d" in common: precision 3 / 4, recall 3 / 5; beta is 1.2.
    (value,) = _values("rouge_l", ["a c x d"], [["a b c d e"]])

    beta = 1.2**2
    expected = (1 + beta) * 3 / 4 * 3 / 5 / (3 / 5 + beta * 3 / 4)
    assert value == pytest.approx(expected)


def test_rouge_l_takes_the_best_precision_and_the_best_recall():
    # Of the first reference precision 1 / 2, recall 1; of the second 1 and 1 / 2.
    (value,) = _values("rouge_l", ["a b"], [["a", "a b c d"][::-1]])

    assert value == pytest.approx(1.0)


@pytest.mark.parametrize(("output", "references"), [("", ["a"]), ("b", ["a", "c"])])
def test_nothing_in_common_scores_nothing(output, references):
    assert _values("rouge_l", [output], [references]).tolist() == [0.0]
    assert _values("cider", [output, "d"], [references, ["d"]])[0] == 0.0


def test_words_are_found_without_punctuation_and_case():
    assert caption_scores.words("A dog's tail, T-shirt; 2 men!") == [
        "a",
        "dog's",
        "tail",
        "t-shirt",
        "2",
        "men",
    ]


def test_cider_of_unigrams_by_hand():
    # "a" is in both examples, so it weighs ln(2 / 2) = 0; the others weigh ln 2.
    values = _values("cider", ["a b", "c"], [["a b"], ["a d"]])

    # Of the first, cosine 1 for words and for pairs, none for longer ones: 10 * 2 / 4.
    np.testing.assert_allclose(values, [5.0, 0.0])


def test_cider_punishes_another_length():
    # Words 1 - 1, pairs 0 - 3; "b" is the only word in common, all weigh the same.
    values = _values("cider", ["b", "x"], [["b c d e"], ["y"]])

    cosine = 1 / np.sqrt(4)
    np.testing.assert_allclose(values[0], 10 * cosine / 4 * np.exp(-(3**2) / 72))


def test_cider_of_one_example_is_zero():
    assert _values("cider", ["a b"], [["a b"]]).tolist() == [0.0]
