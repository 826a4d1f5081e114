import pytest

from t2t_mm import registry
from t2t_mm.data import audio_problem, image_problem, text_problem
from t2t_mm.decoding import scores

REFERENCES = ["a b c d", "e f g h"]
OUTPUTS = ["a b c d", "e f g x"]


def test_exact_is_the_share_of_equal_outputs():
    found = scores.score(["exact"], REFERENCES, OUTPUTS)

    assert found == {"exact": "0.5000 of 2"}


def test_bleu_comes_with_its_signature():
    found = scores.score(["bleu"], REFERENCES, OUTPUTS)

    # Precisions 7/8, 5/6, 3/4, 1/2 and no brevity penalty.
    bleu = 100 * (7 / 8 * 5 / 6 * 3 / 4 * 1 / 2) ** 0.25
    assert found["bleu"].startswith(f"{bleu:.2f} (nrefs:1|")


@pytest.mark.parametrize(
    ("references", "outputs", "cer", "wer"),
    [
        # One character of 14 and one word of 8.
        (REFERENCES, OUTPUTS, 1 / 14, 1 / 8),
        # Long references weigh more: 1 + 3 edits of 11 + 3 characters.
        (["hello there", "one"], ["hallo there", ""], 4 / 14, 2 / 3),
        # Insertions count too, so that rates may pass 1.
        (["a"], ["a b c"], 4.0, 2.0),
        (["a b"], ["a b"], 0.0, 0.0),
    ],
)
def test_error_rates_are_edits_per_true_unit(references, outputs, cer, wer):
    found = scores.score(["cer", "wer"], references, outputs)

    assert found == {"cer": f"{cer:.4f}", "wer": f"{wer:.4f}"}


def test_parses_are_scored_by_their_brackets():
    references = ["S NP NN /NP VP VB /VP . /S"] * 4
    outputs = [
        references[0],
        "S NP NN /NP NP VB /NP . /S",
        "S NP NN /NP VP VB /VP /S",  # one word less
        "S NP NN",
    ]

    found = scores.score(["well_formed", "labelled_f1"], references, outputs)

    # 3 + 2 of 6 brackets are right; there are 12.
    assert found == {
        "well_formed": "0.5000 of 4",
        "labelled_f1": "55.56 (precision 83.33, recall 41.67; all brackets of 1 of 4 "
        "right; 2 without brackets: no trees)",
    }


def test_a_score_of_a_users_own_is_used_by_its_name(monkeypatch):
    monkeypatch.setattr(registry.SCORES, "_entries", {})

    @registry.register_score("longer")
    def longer(references, outputs):
        pairs = zip(references, outputs, strict=True)
        return str(sum(len(output) > len(reference) for reference, output in pairs))

    assert scores.score(["longer"], ["a", "bb"], ["ab", "b"]) == {"longer": "1"}
    with pytest.raises(LookupError, match="No score is named 'longr'.*'longer'"):
        scores.score(["longr"], ["a"], ["a"])


def test_nothing_has_no_scores():
    assert scores.score(["exact", "bleu", "cer", "wer"], [], []) == {}


def test_an_output_that_is_missing_is_noticed():
    with pytest.raises(ValueError, match="got 1 outputs and 2 references"):
        scores.score(["exact"], ["a", "b"], ["a"])


def test_kinds_of_targets_have_the_scores_that_fit(registrations):
    assert text_problem.Text2TextProblem.scores == ("exact", "bleu")
    assert image_problem.Image2TextProblem.scores == ("exact", "bleu")
    assert text_problem.Text2ClassProblem.scores == ("exact",)
    for name in ("mini_parsing", "miniworld_parsing", "wsj_parsing"):
        parsing_scores = registry.PROBLEMS.get(name).scores
        assert parsing_scores == ("exact", "well_formed", "labelled_f1")
    assert audio_problem.Audio2TextProblem.scores == ("cer", "wer")
