import pytest

from t2t_mm.data import trees
from t2t_mm.evaluation import bracketing

# I saw it on TV .
REFERENCE = "S NP PRP /NP VP VBD NP PRP /NP PP IN NP NN /NP /PP /VP . /S"
# The phrase "on TV" is part of "it on TV".
OTHER = "S NP PRP /NP VP VBD NP NP PRP /NP PP IN NP NN /NP /PP /NP /VP . /S"


def _score(reference, output):
    return bracketing.score_symbols([reference], [output])


def test_brackets_are_labels_with_the_positions_of_words():
    tree = trees.read_symbols(REFERENCE)

    found = bracketing.brackets(tree, [True] * 5 + [False])

    # 0 I 1 saw 2 it 3 on 4 TV 5
    assert found == {
        ("S", 0, 5): 1,
        ("NP", 0, 1): 1,
        ("VP", 1, 5): 1,
        ("NP", 2, 3): 1,
        ("PP", 3, 5): 1,
        ("NP", 4, 5): 1,
    }


def test_an_equal_output_scores_one():
    score = _score(REFERENCE, REFERENCE)

    assert score == bracketing.Score(
        sentences=1, equal=1, matched=6, in_references=6, in_outputs=6
    )
    assert (score.precision, score.recall, score.f1, score.well_formed) == (1, 1, 1, 1)


def test_precision_and_recall_are_of_labelled_brackets():
    score = _score(REFERENCE, OTHER)

    assert score == bracketing.Score(
        sentences=1, matched=6, in_references=6, in_outputs=7
    )
    assert score.precision == pytest.approx(6 / 7)
    assert score.recall == 1
    assert score.f1 == pytest.approx(12 / 13)


def test_another_label_does_not_match():
    score = _score("S NP NN /NP VP VBP /VP /S", "S NP NN /NP ADJP VBP /ADJP /S")

    assert (score.matched, score.in_references, score.in_outputs) == (2, 3, 3)


def test_particles_are_adverbs():
    score = _score("VP VB PRT RP /PRT /VP", "VP VB ADVP RP /ADVP /VP")

    assert score.equal == 1
    assert score.f1 == 1


def test_the_same_bracket_twice_must_be_found_twice():
    score = _score("NP NP NN /NP /NP", "NP NN /NP")

    assert (score.matched, score.in_references, score.in_outputs) == (1, 2, 1)


@pytest.mark.parametrize("tag", [",", ":", "``", "''", ".", "?", "!"])
def test_punctuation_does_not_count(tag):
    # Inside of the phrase, after it, or as a phrase of its own: the brackets are equal.
    inside = f"S NP NN {tag} /NP VP VB /VP /S"
    after = f"S NP NN /NP {tag} VP VB /VP /S"
    alone = f"S NP NN /NP X {tag} /X VP VB /VP /S"

    assert _score(inside, after).equal == 1
    assert _score(alone, after).equal == 1


def test_the_tags_of_the_reference_say_what_is_punctuation():
    score = _score("S NP NN /NP . /S", "S NP NN SYM /NP /S")

    assert score.equal == 1


def test_top_does_not_count():
    assert _score("TOP S VB /S UH /TOP", "S S VB /S UH /S").in_references == 1
    assert _score("TOP S VB /S UH /TOP", "S S VB /S UH /S").in_outputs == 2


@pytest.mark.parametrize(
    "output",
    [
        "S NP PRP /NP VP VBD",  # not closed
        "S NP PRP /NP VP VBD /VP . /S",  # a tree over fewer words
        "",
    ],
)
def test_an_output_that_is_no_tree_has_no_brackets(output):
    score = _score(REFERENCE, output)

    assert score == bracketing.Score(sentences=1, ill_formed=1, in_references=6)
    assert (score.precision, score.recall, score.f1, score.well_formed) == (0, 0, 0, 0)


def test_counts_add_up_over_sentences():
    score = bracketing.score_symbols(
        [REFERENCE, REFERENCE, "NP NN /NP", "UH"], [OTHER, "S", "NP NN /NP", "UH"]
    )

    assert score == bracketing.Score(
        sentences=4, ill_formed=1, equal=2, matched=7, in_references=13, in_outputs=8
    )
    assert score.precision == 7 / 8
    assert score.recall == 7 / 13
    assert score.f1 == pytest.approx(2 * 7 / 21)
    assert score.well_formed == 0.75


def test_a_reference_that_is_no_tree_is_an_error():
    with pytest.raises(trees.IllFormedError, match="S is not closed"):
        _score("S VB VB", "S VB /S")


def test_trees_of_different_lengths_are_not_compared():
    with pytest.raises(ValueError, match="must have 6 words; it has 1"):
        bracketing.compare(trees.read_symbols(REFERENCE), trees.read_symbols("UH"))
