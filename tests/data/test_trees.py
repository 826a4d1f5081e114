import pickle
import textwrap

import pytest

from t2t_mm import problem
from t2t_mm.data import trees


def _read(tmp_path, content):
    path = tmp_path / "some.mrg"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(trees.read_trees(path, "some.mrg"))


def _only_tree(tmp_path, content):
    (found,) = _read(tmp_path, content)
    return found.tree


def _leaf(label, word):
    return trees.Tree(label, word=word)


I_RUN = trees.Tree(
    "S",
    (
        trees.Tree("NP", (_leaf("PRP", "I"),)),
        trees.Tree("VP", (_leaf("VBP", "run"),)),
        _leaf(".", "."),
    ),
)


@pytest.mark.parametrize("root", ["", "TOP", "ROOT ", "S1\n"])
def test_a_tree_is_read_without_the_label_around_it(tmp_path, root):
    content = f"({root} (S (NP (PRP I)) (VP (VBP run)) (. .)))"

    assert _read(tmp_path, content) == [("some.mrg line 1", I_RUN)]


def test_a_tree_without_a_label_around_it_is_read_as_it_is(tmp_path):
    assert _only_tree(tmp_path, "(S (NP (PRP I)) (VP (VBP run)) (. .))") == I_RUN


def test_trees_over_many_lines_are_named_by_the_line_where_they_begin(tmp_path):
    content = textwrap.dedent(
        """
        ( (S
            (NP-SBJ
              (PRP I))
            (VP (VBP run))
            (. .)))

        ( (S (NP (PRP I)) (VP (VBP run)) (. .))) ( (NP (NN tree)))
        """
    )

    first, second, third = _read(tmp_path, content)

    assert first == ("some.mrg line 2", I_RUN)
    assert second == ("some.mrg line 8", I_RUN)
    assert third == (
        "some.mrg line 8",
        trees.Tree("NP", (_leaf("NN", "tree"),)),
    )


def test_several_parts_in_one_bracket_without_a_label_are_one_tree(tmp_path):
    tree = _only_tree(tmp_path, "( (NP (NN tree)) (. .))")

    assert str(tree) == "(TOP (NP (NN tree)) (. .))"


def test_functions_and_numbers_of_labels_are_removed(tmp_path):
    content = """
    ( (S=2 (NP-SBJ-1 (NN|JJ dog)) (ADVP=2 (RB up)) (PRT|ADVP (RP off))
       (PRN (-LRB- -LRB-) (WHNP-TMP=3 (WP$ whose)) (-RRB- -RRB-))))
    """

    assert str(_only_tree(tmp_path, content)) == (
        "(S (NP (NN dog)) (ADVP (RB up)) (PRT (RP off)) "
        "(PRN (-LRB- -LRB-) (WHNP (WP$ whose)) (-RRB- -RRB-)))"
    )


def test_traces_go_with_what_holds_nothing_else(tmp_path):
    content = """
    ( (S (NP-SBJ-1 (-NONE- *)) (VP (TO to) (VP (VB be) (SBAR (-NONE- 0)
       (S (-NONE- *T*-1))) (NP (NN fun) (-NONE- *ICH*-2))))))
    """

    assert str(_only_tree(tmp_path, content)) == (
        "(S (VP (TO to) (VP (VB be) (NP (NN fun)))))"
    )


def test_a_tree_of_traces_is_left_out_without_harm(tmp_path):
    assert _read(tmp_path, "( (S (NP (-NONE- *)) (VP (-NONE- *?*))))") == [
        problem.Rejected(
            name="some.mrg line 1", reason="nothing but traces", harmless=True
        )
    ]


def test_words_keep_other_spaces_and_slashes(tmp_path):
    content = "(ROOT (NP (CD 1\\/2) (NN no\u00a0break\u2028line) (SYM /)))"

    tree = _only_tree(tmp_path, content)

    assert tree.words() == ["1\\/2", "no\u00a0break\u2028line", "/"]


def test_a_byte_order_mark_and_returns_are_no_text(tmp_path):
    content = "\ufeff( (NP\r\n (NN tree)))\r\n"

    assert str(_only_tree(tmp_path, content)) == "(NP (NN tree))"


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("\n(TOP (NP (NN tree))", 2, "a bracket is not closed"),
        ("\n\n)", 3, "a bracket is closed that is not open"),
        ("*x*x*x* header *x*", 1, "text outside of brackets"),
        ("(NP (NN New York))", 1, "two words with one tag"),
        ("(NP (NN New) York)", 1, "a word beside constituents"),
        ("(NP York (NN New))", 1, "a word beside constituents"),
        ("(S (NP) (VP (VB go)))", 1, "a constituent that holds nothing"),
        ("()", 1, "a constituent that holds nothing"),
        ("(S (/NP (NN tree)))", 1, "a label that begins with /"),
        ("(NP (NP Rome))", 1, "a constituent labelled as a word"),
        (b"(NP (NN caf\xe9))", 1, "bytes that are not UTF-8"),
        ("(S " * 300 + "(NN tree)" + ")" * 300, 1, "more than 250 brackets deep"),
    ],
)
def test_what_is_no_tree_is_rejected(tmp_path, content, line, reason):
    assert _read(tmp_path, content) == [
        problem.Rejected(name=f"some.mrg line {line}", reason=reason)
    ]


@pytest.mark.parametrize("root", ["", "ROOT"])
def test_reading_goes_on_after_a_bracket_that_is_not_closed(tmp_path, root):
    content = f"({root} (S (NP (PRP I))\n({root} (NP (NN tree)))\n({root} (X (UH ah)))"

    rejected, tree, other = _read(tmp_path, content)

    assert rejected == problem.Rejected(
        name="some.mrg line 1", reason="a bracket is not closed"
    )
    assert (tree.name, str(tree.tree)) == ("some.mrg line 2", "(NP (NN tree))")
    assert (other.name, str(other.tree)) == ("some.mrg line 3", "(X (UH ah))")


def test_reading_goes_on_after_a_bad_tree(tmp_path):
    rejected, tree = _read(tmp_path, "( (NP (NN New York)))\n( (NP (NN tree)))")

    assert rejected.reason == "two words with one tag"
    assert str(tree.tree) == "(NP (NN tree))"


def test_trees_cannot_be_changed_and_can_be_sent_to_other_processes():
    with pytest.raises(AttributeError):
        I_RUN.label = "X"
    assert pickle.loads(pickle.dumps(I_RUN)) == I_RUN


def test_symbols_are_those_of_tensor2tensor():
    assert I_RUN.words() == ["I", "run", "."]
    assert trees.linearize(I_RUN) == "S NP PRP /NP VP VBP /VP . /S"


@pytest.mark.parametrize(
    "brackets",
    [
        "(S (NP (PRP I)) (VP (VBP run)) (. .))",
        "(NP (NP (NP (NN a)) (NN b)) (NP (NN c)))",
        "(UH ah)",
        "(TOP (S (VP (VB go))) (. .))",
    ],
)
def test_symbols_and_words_give_the_tree_back(tmp_path, brackets):
    tree = _only_tree(tmp_path, brackets)

    symbols = trees.linearize(tree)

    assert trees.delinearize(tree.words(), symbols) == tree
    assert str(tree) == brackets


@pytest.mark.parametrize(
    ("symbols", "message"),
    [
        ("", "There are no symbols."),
        ("S NP PRP /NP VP VBP /VP", "S is not closed."),
        ("S NP PRP VP VBP /VP /S VP", "VP is not closed."),
        ("S NP PRP /NP VP VBP /S /VP", "VP is not closed."),
        ("S NP PRP /NP /VP", "/VP closes what is not open."),
        ("/S", "/S closes what is not open."),
        ("S NP /NP VP VBP /VP /S", "NP holds nothing."),
        ("NP PRP /NP VP VBP /VP", "There are 2 trees instead of one."),
        ("PRP VBP", "PRP is not closed."),
        (
            "S NP PRP /NP VP VBP . /VP /S",
            "There must be a tag for each of 2 words; got 3.",
        ),
        ("PRP", "There must be a tag for each of 2 words; got 1."),
        (
            " ".join(["S"] * 300 + ["PRP", "VBP"] + ["/S"] * 300),
            "It is more than 250 constituents deep.",
        ),
    ],
)
def test_symbols_that_are_no_tree_say_why(symbols, message):
    with pytest.raises(trees.IllFormedError) as raised:
        trees.delinearize(["I", "run"], symbols)

    assert str(raised.value) == message


def test_symbols_without_words_are_a_tree_of_tags():
    tree = trees.read_symbols("S NP PRP /NP VP VBP /VP . /S")

    assert tree.words() == ["", "", ""]
    assert trees.linearize(tree) == "S NP PRP /NP VP VBP /VP . /S"
