"""Treebanks as they are on disk: the Penn Treebank, GUM, and a folder of anything."""

import itertools
import pathlib

NOUNS = ("cow", "flower", "goat", "hen", "lamp", "mouse")
VERBS = ("draws", "finds", "hears", "likes", "sees")

# As in the Penn Treebank: no label around a tree, functions, numbers and traces.
PENN = """
( (S
    (NP-SBJ-1 (DT The) (NN {subject}) )
    (VP (VBZ {verb})
      (NP (DT the) (NN {object}) )
      (S
        (NP-SBJ (-NONE- *-1) )
        (ADVP-TMP=2 (RB twice) )))
    (. .) ))
"""
# As GUM writes the same sentence.
GUM = """(ROOT
  (S
    (NP-SBJ (DT The) (NN {subject}))
    (VP
      (VBZ {verb})
      (NP (DT the) (NN {object}))
      (S (ADVP-TMP (RB twice))))
    (. .)))

"""
SYMBOLS = "S NP DT NN /NP VP VBZ NP DT NN /NP S ADVP RB /ADVP /S /VP . /S"
SECTIONS = range(25)
SENTENCES = [
    {"subject": subject, "verb": verb, "object": thing}
    for subject, verb, thing in itertools.product(NOUNS, VERBS, NOUNS)
]


def make(root):
    """Returns a path for every corpus of trees, as --corpus_path gives them."""
    root = pathlib.Path(root)
    write_penn_treebank(root / "treebank_3")
    write_gum(root / "gum")
    write(root / "trees" / "all.mrg", PENN, SENTENCES)
    return {
        "penn_treebank": str(root / "treebank_3"),
        "gum_constituency": str(root / "gum"),
        "treebank_folder": str(root / "trees"),
    }


def sentence(subject, verb, object):
    return f"The {subject} {verb} the {object} twice ."


def write(path, form, sentences):
    """Writes a file of trees; `form` is `PENN` or `GUM`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(form.format(**words) for words in sentences))


def write_penn_treebank(root, sections=SECTIONS, capitals=False):
    """Writes one file of two trees for each section."""
    for section in sections:
        name = f"parsed/mrg/wsj/{section:02}/wsj_{section:02}01.mrg"
        path = root / (name.upper() if capitals else name)
        write(path, PENN, SENTENCES[2 * section : 2 * section + 2])
    (root / "readme.txt").write_text(
        "The Penn Treebank (a stand-in of ten sentences)\n"
    )


def write_gum(root):
    """Writes a document of training, of dev and of test, and one of another genre."""
    write(root / "const" / "GUM_academic_art.ptb", GUM, SENTENCES[:100])
    write(root / "const" / "GUM_bio_byron.ptb", GUM, SENTENCES[100:120])
    write(root / "const" / "GUM_news_nasa.ptb", GUM, SENTENCES[120:140])
    write(root / "const" / "GUM_reddit_macroeconomics.ptb", GUM, SENTENCES[:5])
