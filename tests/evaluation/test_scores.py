import re
import subprocess
import sys

import jiwer
import numpy as np
import pytest

from t2t_mm import registry
from t2t_mm.data import audio_problem, image_problem, text_problem
from t2t_mm.evaluation import scorer as scorer_lib
from t2t_mm.evaluation import scores
from t2t_mm.evaluation.bootstrap import Bootstrap
from t2t_mm.evaluation.predictions import Predictions

REFERENCES = ["a b c d", "e f g h"]
OUTPUTS = ["a b c d", "e f g x"]

# Real sentences are longer than an n-gram, some of them empty, some with odd signs.
SENTENCES = [
    ("Der Zug nach Köln fährt um 9.15 Uhr ab.", "Der Zug nach Köln geht um 9.15 ab."),
    ("It costs 1,250.50 dollars, doesn't it?", "it costs 1,250.50 Dollars, does it?"),
    ("Preis: €45,00 (inkl. 19% MwSt.) – „sehr gut“!", "Preis: 45 € – sehr gut"),
    ("The quick brown fox jumps over the lazy dog.", ""),
    ("yes", "yes"),
    ("C'est l'été : 30°C, n'est-ce pas ?", "C'est l'été ; il fait 30°C ."),
]


def _score(name, references, outputs, **more):
    pairs = list(zip(references, outputs, strict=True))
    return scores.score([name], Predictions.of_pairs(pairs), **more)[name]


def _value(name, references, outputs):
    return _score(name, references, outputs).value


def test_exact_is_the_share_of_equal_outputs():
    found = _score("exact", REFERENCES, OUTPUTS)

    assert (found.value, found.examples, found.higher_is_better) == (0.5, 2, True)
    assert str(found) == "0.5000 (2 examples)"


def test_any_of_several_references_will_do():
    predictions = Predictions(
        outputs=["a red bus", "a cat"], references=[["a bus", "a red bus"], ["a dog"]]
    )

    assert scores.score(["exact"], predictions)["exact"].value == 0.5


def test_bleu_is_the_geometric_mean_of_precisions():
    # Precisions 7/8, 5/6, 3/4, 1/2 and no brevity penalty.
    bleu = 100 * (7 / 8 * 5 / 6 * 3 / 4 * 1 / 2) ** 0.25

    assert _value("bleu", REFERENCES, OUTPUTS) == pytest.approx(bleu)


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_translation_scores_are_those_of_the_command(name, tmp_path):
    references, outputs = zip(*SENTENCES, strict=True)
    for file, lines in (("references", references), ("outputs", outputs)):
        (tmp_path / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    files = [str(tmp_path / "references"), "-i", str(tmp_path / "outputs")]
    command = [sys.executable, "-m", "sacrebleu", *files, "-m", name, "-w", "6"]
    completed = subprocess.run(
        [*command, "-f", "text"], capture_output=True, text=True, check=True
    )

    found = _score(name, references, outputs)

    # BLEU|nrefs:1|...|version:2.5.1 = 31.415926 ...
    signature, value = re.match(r"\w+\|(\S+) = (\S+)", completed.stdout).groups()
    assert f"{found.value:.6f}" == value
    assert found.signature == signature


def _random_sentences(random, count):
    letters = list("abcde ")
    return [
        "".join(random.choice(letters, size=random.integers(1, 40)))
        for _ in range(count)
    ]


@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_sums_over_examples_give_the_score_of_the_whole(name):
    """Which intervals rest on; the number itself is sacreBLEU's."""
    random = np.random.default_rng(1)
    outputs = _random_sentences(random, 30)
    references = [_random_sentences(random, 1 + n % 3) for n in range(30)]
    scorer = scores.scorer(name)
    predictions = Predictions(outputs=outputs, references=references)

    of_sums = scorer.formula(scorer.statistics(predictions).sum(0))

    assert of_sums == pytest.approx(scorer.score(predictions).value, abs=1e-9)


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
    found = _score("cer", references, outputs)

    assert found.value == pytest.approx(cer)
    assert _value("wer", references, outputs) == pytest.approx(wer)
    assert not found.higher_is_better


def test_error_rates_are_those_of_jiwer():
    references, outputs = map(list, zip(*SENTENCES, strict=True))

    assert _value("wer", references, outputs) == jiwer.wer(references, outputs)
    assert _value("cer", references, outputs) == jiwer.cer(references, outputs)


def test_the_kinds_of_edits_are_counted():
    found = _score("wer", ["a b c d e g"], ["a x d e g f"])

    # b -> x, without c, and f.
    assert dict(found.details) == {
        "substitutions": 1,
        "deletions": 1,
        "insertions": 1,
        "true_units": 6,
    }


def test_the_nearest_of_several_references_counts_for_error_rates():
    predictions = Predictions(
        outputs=["a b c", "x"], references=[["a", "a b d"], ["x y"]]
    )

    # 1 of 3 words and 1 of 2.
    assert scores.score(["wer"], predictions)["wer"].value == 2 / 5


def test_parses_are_scored_by_their_brackets():
    references = ["S NP NN /NP VP VB /VP . /S"] * 4
    outputs = [
        references[0],
        "S NP NN /NP NP VB /NP . /S",
        "S NP NN /NP VP VB /VP /S",  # one word less
        "S NP NN",
    ]

    found = _score("labelled_f1", references, outputs)

    # 3 + 2 of 6 brackets are right; there are 12.
    assert found.value == pytest.approx(100 * 2 * 5 / (6 + 12))
    assert dict(found.details) == {
        "precision": pytest.approx(100 * 5 / 6),
        "recall": pytest.approx(100 * 5 / 12),
        "complete_match": 25.0,
        "no_tree": 50.0,
    }
    assert _value("well_formed", references, outputs) == 0.5


def test_top_five_looks_at_five_candidates():
    candidates = [list("abcdef"), list("fedcba"), list("bcdeaf")]
    predictions = Predictions(
        outputs=[likely[0] for likely in candidates],
        references=[["a"], ["a"], ["a"]],
        candidates=candidates,
    )

    found = scores.score(["top1", "top5"], predictions)

    assert found["top1"].value == pytest.approx(1 / 3)
    assert found["top5"].value == pytest.approx(2 / 3)


def test_top_five_is_left_out_where_only_one_is_known():
    found = scores.score(["top1", "top5"], Predictions.of_pairs([("a", "a")]))

    assert found.keys() == {"top1"}


def test_scores_say_how_sure_they_are():
    found = _score("exact", ["a"] * 50 + ["b"] * 50, ["a"] * 100, bootstrap=Bootstrap())

    # Normal approximation: half, with a standard error of a twentieth.
    assert found.interval.low == pytest.approx(0.5 - 1.96 * 0.05, abs=0.015)
    assert found.interval.high == pytest.approx(0.5 + 1.96 * 0.05, abs=0.015)


@pytest.mark.parametrize(
    "name", ["bleu", "chrf", "cer", "wer", "cider", "rouge_l", "exact", "top1"]
)
def test_intervals_hold_the_score(name):
    references, outputs = zip(*SENTENCES, strict=True)

    found = _score(name, references, outputs, bootstrap=Bootstrap(resamples=50))

    assert found.interval.low < found.value < found.interval.high


def test_a_score_of_a_users_own_is_used_by_its_name(monkeypatch):
    monkeypatch.setattr(registry.SCORES, "_entries", {})

    @registry.register_score("longer")
    class Longer(scorer_lib.MeanScorer):
        def values(self, predictions):
            return [
                len(output) > len(references[0])
                for output, references in zip(
                    predictions.outputs, predictions.references, strict=True
                )
            ]

    assert _value("longer", ["a", "bb"], ["ab", "b"]) == 0.5
    with pytest.raises(LookupError, match="No score is named 'longr'.*'longer'"):
        _value("longr", ["a"], ["a"])


def test_a_score_that_is_a_function_is_refused(monkeypatch):
    monkeypatch.setattr(registry.SCORES, "_entries", {})
    registry.register_score("half")(lambda references, outputs: "0.5")

    with pytest.raises(TypeError, match="'half' must be a subclass of Scorer"):
        _value("half", ["a"], ["a"])


def test_nothing_has_no_scores():
    names = ["exact", "bleu", "chrf", "cer", "wer", "cider", "rouge_l", "labelled_f1"]

    assert scores.score(names, Predictions(outputs=[], references=[])) == {}


def test_an_output_that_is_missing_is_noticed():
    with pytest.raises(ValueError, match="got 1 outputs and references of 2 examples"):
        Predictions(outputs=["a"], references=[["a"], ["b"]])
    with pytest.raises(ValueError, match="must have a reference; one has none"):
        Predictions(outputs=["a", "b"], references=[["a"], []])


def test_kinds_of_targets_have_the_scores_that_fit(registrations):
    assert text_problem.Text2TextProblem.scores == ("exact", "bleu", "chrf")
    assert audio_problem.Audio2TextProblem.scores == ("cer", "wer")
    assert image_problem.Image2ClassProblem.scores == ("top1", "top5")
    captions = image_problem.Image2TextProblem
    assert captions.scores == ("exact", "bleu", "cider", "rouge_l")
    assert captions.several_references
    for name in ("mini_parsing", "miniworld_parsing", "wsj_parsing"):
        parsing_scores = registry.PROBLEMS.get(name).scores
        assert parsing_scores == ("exact", "well_formed", "labelled_f1")


def test_every_problem_names_scores_that_exist(registrations):
    for name in registry.PROBLEMS.names():
        for score in registry.PROBLEMS.get(name).scores:
            assert scores.scorer(score)
