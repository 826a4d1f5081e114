"""Parsing: a sentence to its phrase-structure tree, from bracketed treebanks.

The inputs are the words with spaces between; the targets are the tree without them, as
`t2t_mm/data/trees.py` writes it.
"""

import abc
import codecs
import collections
import os
import pathlib
import re
from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar, NamedTuple

from absl import logging

from t2t_mm import problem, registry
from t2t_mm.data import corpus as corpora
from t2t_mm.data import output_rules, splits, text_problem, trees
from t2t_mm.features import SpaceId, Split

WSJ_SECTIONS = {
    Split.TRAIN: range(2, 22),
    Split.EVAL: range(22, 23),
    Split.TEST: range(23, 24),
}
_WSJ_FILE = re.compile(r"wsj_(\d\d)\d\d\.mrg", re.IGNORECASE)

_SPLIT_WORDS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "dev": Split.EVAL,
    "eval": Split.EVAL,
    "val": Split.EVAL,
    "valid": Split.EVAL,
    "validation": Split.EVAL,
    "test": Split.TEST,
}
_WORD = re.compile(r"[a-z]+")

# One id each, where SentencePiece would make two or three: what closes the constituents
# of the Penn Treebank, and its tags of more than letters.
_LABELS = (
    "ADJP ADVP CONJP FRAG INTJ LST NAC NP NX PP PRN PRT QP RRC S SBAR SBARQ SINV SQ "
    "TOP UCP VP WHADJP WHADVP WHNP WHPP X"
)
RESERVED_TOKENS = (
    *(f" {trees.CLOSING}{label}" for label in _LABELS.split()),
    *(" -LRB-", " -RRB-", " PRP$", " WP$"),
)
# The tags of the Penn Treebank, and after "#" those that later treebanks added.
_TAGS = (
    "CC CD DT EX FW IN JJ JJR JJS LS MD NN NNP NNPS NNS PDT POS PRP PRP$ RB RBR RBS RP "
    "SYM TO UH VB VBD VBG VBN VBP VBZ WDT WP WP$ WRB -LRB- -RRB- `` '' , . : $ # "
    "ADD AFX GW HYPH NFP XX"
)
PENN_TREES = output_rules.TreeRule(constituents=_LABELS.split(), tags=_TAGS.split())


class TreeFiles(NamedTuple):
    """Where the trees of a split are.

    Attributes:
      files: paths below the folder of the corpus, in their order.
      shares: which trees of the files belong to it: those that `splits.by_hash` deals
        to one of these.
    """

    files: Sequence[str]
    shares: Collection[Split] = tuple(Split)


class ParsingProblem(text_problem.Text2TextProblem):
    """Words to their tree.

    Trees of other labels than those of the Penn Treebank need an `output_rule` and
    `additional_reserved_tokens` of their own.
    """

    input_space = SpaceId.EN_TOK
    target_space = SpaceId.PARSE_TOK
    scores: ClassVar[tuple[str, ...]] = ("exact", "well_formed", "labelled_f1")
    output_rule = PENN_TREES
    additional_reserved_tokens = RESERVED_TOKENS

    @abc.abstractmethod
    def tree_files(self, folder: str, split: Split) -> TreeFiles:
        """Returns where the trees of a split are in the folder of the corpus."""

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, str] | problem.Rejected]:
        """Yields the sentences of one split and their trees, in the files' order."""
        folder = self.require_corpus_path()
        files, shares = self.tree_files(folder, Split(dataset_split))
        for file in files:
            for found in trees.read_trees(os.path.join(folder, file), file):
                if isinstance(found, problem.Rejected):
                    if Split.TRAIN in shares:  # once, where several splits share
                        yield found
                    continue
                words = " ".join(found.tree.words())
                if splits.by_hash(words) in shares:
                    targets = trees.linearize(found.tree)
                    yield {"name": found.name, "inputs": words, "targets": targets}


@registry.register_problem("wsj_parsing")
class WsjParsing(ParsingProblem):
    """The Wall Street Journal in the Penn Treebank: 02 to 21, dev 22, test 23."""

    corpus = corpora.Corpus(
        name="penn_treebank",
        title="the Penn Treebank, release 3 (LDC99T42)",
        obtain=(
            "from the Linguistic Data Consortium, https://catalog.ldc.upenn.edu/"
            "LDC99T42, for a fee. NLTK's sample of it has not the sections of the "
            "splits: give it to treebank_folder."
        ),
        layout=(
            "wsj_0200.mrg to wsj_2399.mrg at any depth, as in treebank_3/parsed/mrg/"
            "wsj/02/wsj_0200.mrg; names may be in capitals."
        ),
    )

    def tree_files(self, folder: str, split: Split) -> TreeFiles:
        """Returns the files of the sections of a split.

        Raises:
          FileNotFoundError: if a section of any split is missing.
          ValueError: if a file is there twice.
        """
        sections: dict[int, dict[str, str]] = collections.defaultdict(dict)
        for file in list_files(folder):
            if match := _WSJ_FILE.fullmatch(os.path.basename(file)):
                first = sections[int(match[1])].setdefault(match[0].lower(), file)
                if first != file:
                    raise ValueError(
                        f"'{folder}' must hold {match[0]} once; it has '{first}' and "
                        f"'{file}'. Give the folder of one of them."
                    )
        wanted = [number for part in WSJ_SECTIONS.values() for number in part]
        missing = [f"{number:02}" for number in wanted if number not in sections]
        if missing:
            raise FileNotFoundError(
                f"Sections 02 to 23 must be there; missing: {', '.join(missing)}. "
                f"{self.corpus.help_page(self.name, folder)}"
            )
        return TreeFiles(
            [
                section[name]
                for section in map(sections.__getitem__, WSJ_SECTIONS[split])
                for name in sorted(section)
            ]
        )


@registry.register_problem("treebank_folder")
class TreebankFolder(ParsingProblem):
    """Any trees in brackets, in files of any name."""

    corpus = corpora.Corpus(
        name="treebank_folder",
        title="a folder of trees in the brackets of the Penn Treebank",
        obtain="bring your own.",
        layout=(
            "files that begin with a bracket, of any name and depth. A file or folder "
            "named train, dev or test (or train-1, my.test, ...) is that split; a "
            "split without one is 5 % of the training trees, by a hash of the words."
        ),
    )

    def tree_files(self, folder: str, split: Split) -> TreeFiles:
        """Returns the files that are named for a split, or its share of training's.

        Raises:
          FileNotFoundError: if there are no trees to train on.
        """
        files = self._files_by_split(folder)
        if not files[Split.TRAIN]:
            raise FileNotFoundError(
                "There are no trees to train on. "
                f"{self.corpus.help_page(self.name, folder)}"
            )
        if split == Split.TRAIN:
            kept = [share for share in Split if share == split or share in files]
            return TreeFiles(files[split], kept)
        if split in files:
            return TreeFiles(files[split])
        return TreeFiles(files[Split.TRAIN], [split])

    def _files_by_split(self, folder: str) -> dict[Split, list[str]]:
        """Returns the files of training, and of each other split that has a name."""
        named: dict[Split, list[str]] = collections.defaultdict(list)
        unnamed: list[str] = []
        for file in filter(lambda file: has_trees(folder, file), list_files(folder)):
            split = self.named_split(file)
            (unnamed if split is None else named[split]).append(file)
        if Split.TRAIN not in named:
            return {**named, Split.TRAIN: unnamed}
        if unnamed:
            logging.info(
                "%s | %d files are of no split and are left out, such as '%s'",
                self.name,
                len(unnamed),
                unnamed[0],
            )
        return named

    def named_split(self, file: str) -> Split | None:
        """Returns the split that a file, or a folder that it is in, is named for."""
        for part in reversed(pathlib.PurePath(file.lower()).parts):
            for word in _WORD.findall(part):
                if word in _SPLIT_WORDS:
                    return _SPLIT_WORDS[word]
        return None


def list_files(folder: str) -> Iterator[str]:
    """Yields the paths of all files below a folder, relative to it and sorted."""
    root = pathlib.Path(folder)
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield path.relative_to(root).as_posix()


def has_trees(folder: str, file: str) -> bool:
    """Returns whether a file begins with a bracket."""
    with open(os.path.join(folder, file), "rb") as content:
        start = content.read(1024).removeprefix(codecs.BOM_UTF8)
    return start.lstrip().startswith(b"(")
