"""Text of the user's own: pairs of texts, and language models."""

import abc
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

from t2t_mm import problem, registry
from t2t_mm.data import corpus as corpora
from t2t_mm.data import splits, text_files, text_problem
from t2t_mm.data.text_files import Sample, TextFile
from t2t_mm.features import Split

SPLIT_WORDS = {
    Split.TRAIN: ("train",),
    Split.EVAL: ("dev", "eval", "valid", "validation"),
    Split.TEST: ("test",),
}
PAIR_LAYOUTS = (  # with or without ".gz"
    ("{}.inputs.txt", "{}.targets.txt"),
    ("inputs.{}.txt", "targets.{}.txt"),  # as Tensor2Tensor called them
    ("{}.tsv",),
)
TEXT_ENDS = (".txt", ".txt.gz")

Source = TypeVar("Source")
T = TypeVar("T")


class FolderProblem(text_problem.TextCodec, Generic[Source]):
    """A problem made from the user's own files, with or without splits.

    A split that has no files of its own is taken from the training text, by a hash of
    each sample's `split_key`: 5 % for dev, 5 % for test.

    Attributes:
      split_key: the text of a sample that must not be in two splits.
    """

    corpus: ClassVar[corpora.Corpus]
    split_key: ClassVar[str]

    @abc.abstractmethod
    def find(self, path: str) -> Mapping[Split, Source]:
        """Returns what there is for each split below the user's path."""

    @abc.abstractmethod
    def read(self, source: Source) -> Iterator[Sample | problem.Rejected]:
        """Yields the samples of one split's files."""

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[Sample | problem.Rejected]:
        """Yields the samples of one split, in the order of the files.

        Raises:
          FileNotFoundError: if there is no training text.
        """
        split = Split(dataset_split)
        path = self.corpus_folder(tmp_dir)
        sources = self.find(path)
        if Split.TRAIN not in sources:
            raise FileNotFoundError(self.corpus.help_page(self.name, path))
        if split in sources and split != Split.TRAIN:
            yield from self.read(sources[split])
            return
        for sample in self.read(sources[Split.TRAIN]):
            if isinstance(sample, problem.Rejected):
                if split == Split.TRAIN:  # said once
                    yield sample
                continue
            dealt = splits.by_hash(sample[self.split_key])
            if split == (Split.TRAIN if dealt in sources else dealt):
                yield sample


@registry.register_problem("text2text_folder")
class Text2TextFolder(
    FolderProblem[tuple[TextFile, ...]], text_problem.Text2TextProblem
):
    """Text to text: the user's own pairs."""

    split_key: ClassVar[str] = "inputs"
    corpus = corpora.Corpus(
        name="text2text_folder",
        title="pairs of texts of your own, one pair per line",
        obtain="make the files; UTF-8, lines that end with a line feed",
        layout=(
            "train.inputs.txt and train.targets.txt (or inputs.train.txt and "
            "targets.train.txt)\n"
            "or train.tsv: two columns with a tab between them\n"
            "and the same for dev (or eval) and test; if not, 5 % of train become dev "
            "and 5 % test.\n"
            "Every file may be compressed: train.tsv.gz. PATH may be one .tsv as well."
        ),
    )

    def find(self, path: str) -> Mapping[Split, tuple[TextFile, ...]]:
        """Returns two parallel files, or a table, for each split."""
        if os.path.isfile(path):
            return {Split.TRAIN: (TextFile(path),)}
        return find_pairs(path)

    def read(self, source: tuple[TextFile, ...]) -> Iterator[Sample | problem.Rejected]:
        """Yields the pairs of two parallel files, or of a table."""
        yield from text_files.read_bitext(source, source[0].name)


class _TextFolder(FolderProblem[list[TextFile]], text_problem.Text2SelfProblem):
    """A language model of the .txt files below a folder."""

    split_key: ClassVar[str] = "targets"
    corpus = corpora.Corpus(
        name="lm_text_folder",
        title="text of your own",
        obtain="put UTF-8 text into files that end in .txt or .txt.gz",
        layout=(
            "such files, in any folders; PATH may be one file as well.\n"
            "If there are folders train, and dev or test, they are the splits; if not, "
            "5 % of all samples become dev and 5 % test."
        ),
    )

    def find(self, path: str) -> Mapping[Split, list[TextFile]]:
        """Returns the files of each split."""
        if os.path.isfile(path):
            return {Split.TRAIN: [TextFile(path)]}
        folders = {}
        for split, words in SPLIT_WORDS.items():
            named = [os.path.join(path, word) for word in words]
            folder = _only_one([*filter(os.path.isdir, named)], path, split)
            if folder is not None:
                folders[split] = folder
        if Split.TRAIN not in folders:
            folders = {Split.TRAIN: path}
        found = {split: find_texts(folder) for split, folder in folders.items()}
        return {split: files for split, files in found.items() if files}


@registry.register_problem("lm_text_folder")
class LmTextFolder(_TextFolder):
    """Language model of the user's own text: each line is a sample."""

    def read(self, source: list[TextFile]) -> Iterator[Sample | problem.Rejected]:
        """Yields the lines of some files."""
        for file in source:
            yield from text_files.read_line_samples(file)


@registry.register_problem("lm_paragraphs_folder")
class LmParagraphsFolder(_TextFolder):
    """Language model of text in broken lines: each paragraph is a sample.

    Paragraphs have blank lines between them; their own lines are joined by spaces.
    """

    def read(self, source: list[TextFile]) -> Iterator[Sample | problem.Rejected]:
        """Yields the paragraphs of some files."""
        for file in source:
            yield from text_files.read_paragraphs(file)


def find_pairs(folder: str) -> dict[Split, tuple[TextFile, ...]]:
    """Returns the files of each split that are in a folder, by `PAIR_LAYOUTS`.

    Raises:
      ValueError: if there are two texts for one split, or one side of one.
    """
    found = {}
    for split, words in SPLIT_WORDS.items():
        layouts = [
            tuple(_existing(os.path.join(folder, name.format(word))) for name in layout)
            for word in words
            for layout in PAIR_LAYOUTS
        ]
        files = _only_one([paths for paths in layouts if any(paths)], folder, split)
        if files:
            found[split] = tuple(TextFile(path) for path in files if path)
            if None in files:
                raise ValueError(
                    f"'{folder}' must have inputs and targets for {split}; it has only "
                    f"{found[split][0]}."
                )
    return found


def find_texts(folder: str) -> list[TextFile]:
    """Returns all text files below a folder, in the order of their paths."""
    paths = [
        os.path.join(parent, name)
        for parent, _, names in os.walk(folder)
        for name in names
        if name.endswith(TEXT_ENDS)
    ]
    return [
        TextFile(path, label=os.path.relpath(path, folder)) for path in sorted(paths)
    ]


def _existing(path: str) -> str | None:
    return next(filter(os.path.isfile, (path, f"{path}.gz")), None)


def _only_one(candidates: Sequence[T], folder: str, split: Split) -> T | None:
    if len(candidates) > 1:
        names = sorted(map(str, candidates))
        raise ValueError(
            f"'{folder}' must have one text for {split}; it has {', '.join(names)}."
        )
    return candidates[0] if candidates else None
