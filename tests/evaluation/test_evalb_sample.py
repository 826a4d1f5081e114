"""The sample that comes with EVALB 20080701 (Sekine and Collins), and its results.

All 24 references but the last four are `GOLD`. EVALB leaves out the seven outputs that
are empty or whose words differ. Of the others, the figures are those of sample.rsl.
"""

import pytest

from t2t_mm.data import trees
from t2t_mm.evaluation import bracketing

GOLD = "(S (A (P this)) (B (Q is) (A (R a) (T test))))"
_PARTS = GOLD.removeprefix("(S ").removesuffix(")")
LONG = f"(S {' '.join([_PARTS] * 11)})"

# Number of the line, reference, output; brackets that match, of reference, of output.
SAMPLE = [
    (1, GOLD, GOLD, (4, 4, 4)),
    (2, GOLD, "(S (A (P this)) (B (Q is) (C (R a) (T test))))", (3, 4, 4)),
    (3, GOLD, "(S (A (P this)) (B (Q is) (A (R a) (U test))))", (4, 4, 4)),
    (4, GOLD, "(S (C (P this)) (B (Q is) (A (R a) (U test))))", (3, 4, 4)),
    (5, GOLD, "(S (A (P this)) (B (Q is) (R a) (A (T test))))", (3, 4, 4)),
    (6, GOLD, "(S (A (P this) (Q is)) (A (R a) (T test)))", (2, 4, 3)),
    (7, GOLD, "(S (P this) (Q is) (R a) (T test))", (1, 4, 1)),
    (8, GOLD, "(P this) (Q is) (R a) (T test)", (0, 4, 0)),
    (9, GOLD, "(S (A (P this)) (B (Q is) (A (A (R a) (T test)))))", (4, 4, 5)),
    (
        10,
        GOLD,
        "(S (A (P this)) (B (Q is) (A (A (A (A (A (R a) (T test))))))))",
        (4, 4, 8),
    ),
    (15, GOLD, f"(TOP {GOLD})", (4, 4, 4)),
    (18, GOLD, GOLD.replace("(T test)", "(TT test)"), (4, 4, 4)),
    (19, GOLD, GOLD.replace("this", "This"), (4, 4, 4)),
    (
        21,
        "(S (A-SBJ-1 (P this)) (B-WHATEVER (Q is) (A (R a) (T test))))",
        GOLD,
        (4,) * 3,
    ),
    (22, LONG, LONG, (34, 34, 34)),
    (23, f"(S {_PARTS} (-NONE- *))", f"(S {_PARTS} (-NONE- *))", (4, 4, 4)),
    (24, f"(S {_PARTS} (: *))", f"(S {_PARTS} (: *))", (4, 4, 4)),
]


def _read(path, text):
    """Returns the one tree of a file; None if there are several."""
    path.write_text(text, encoding="utf-8")
    found = list(trees.read_trees(path, "sample"))
    return found[0].tree if len(found) == 1 else None


def _compare(folder, reference, output):
    return bracketing.compare(
        _read(folder / "reference", reference), _read(folder / "output", output)
    )


@pytest.mark.parametrize(
    ("reference", "output", "counts"),
    [line[1:] for line in SAMPLE],
    ids=[str(line[0]) for line in SAMPLE],
)
def test_each_sentence_has_the_brackets_of_the_sample(
    tmp_path, reference, output, counts
):
    score = _compare(tmp_path, reference, output)

    assert (score.matched, score.in_references, score.in_outputs) == counts


def test_the_summary_is_that_of_the_sample(tmp_path):
    total = bracketing.Score()
    for _, reference, output, _ in SAMPLE:
        total += _compare(tmp_path, reference, output)

    assert (total.matched, total.in_references, total.in_outputs) == (86, 98, 95)
    assert f"{100 * total.recall:.2f}" == "87.76"
    assert f"{100 * total.precision:.2f}" == "90.53"
    assert f"{100 * total.complete:.2f}" == "52.94"
    assert total.sentences == 17
