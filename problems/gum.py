"""Parsing of six kinds of English, from the corpus GUM.

The trees of the Georgetown University Multilayer corpus (Zeldes 2017) are automatic, on
part-of-speech tags that were corrected by hand.
"""

import os
import re

from t2t_mm import registry
from t2t_mm.data import corpus as corpora
from t2t_mm.features import Split
from t2t_mm.problems import parsing

# Genres whose texts may be used by anybody, for anything.
_FILE = re.compile(r"GUM_(?:academic|bio|court|interview|news|voyage)_([a-z]+)")
# The corpus's own splits; what is not here is for training.
DEV_DOCUMENTS = (
    "exposure librarians byron emperor loan negligence cyclone gaming homeopathic "
    "iodine athens coron"
).split()
TEST_DOCUMENTS = (
    "discrimination eegimaa dvorak jespersen insanity mitigation hill libertarian "
    "nasa sensitive oakland vavau"
).split()


@registry.register_problem("mini_parsing")
class MiniParsing(parsing.TreebankFolder):
    """English of papers, lives, courts, interviews, news and travel to its trees."""

    corpus = corpora.Corpus(
        name="gum_constituency",
        title="the phrase-structure trees of GUM, a corpus of Georgetown University",
        obtain="git clone https://github.com/amir-zeldes/gum; PATH is gum/const.",
        layout="GUM_academic_art.ptb and so on, at any depth and with any ending.",
    )

    def named_split(self, file: str) -> Split | None:
        """Returns the split of a document by its name; None for other genres."""
        match = _FILE.match(os.path.basename(file))
        if match is None:
            return None
        if match[1] in DEV_DOCUMENTS:
            return Split.EVAL
        return Split.TEST if match[1] in TEST_DOCUMENTS else Split.TRAIN
