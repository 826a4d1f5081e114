"""Translation of news: English to German and French, and German to French, of WMT.

Training texts are those of WMT 2014 (German to French: 2019); dev is newstest2013, test
is newstest2014 (German to French: euelections_dev2019, as newstest2014 has no such
pair). The archives are read as they are.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import Any, ClassVar

from absl import logging

from t2t_mm import problem, registry
from t2t_mm.data import corpus as corpora
from t2t_mm.data import text_files, text_problem
from t2t_mm.features import SpaceId, Split
from t2t_mm.problems import wmt_files
from t2t_mm.problems.wmt_files import Bitext

# The vocabulary is made from the beginning of each text, so that the large ones do not
# crowd out the small.
VOCABULARY_LINES = 200_000

VOCABULARY = registry.register_vocabulary(
    registry.VocabularySpec(name="wmt", problems=("wmt_ende", "wmt_enfr", "wmt_defr"))
)


class WmtProblem(text_problem.Text2TextProblem):
    """One direction of translation.

    Whatever there is of the training texts is used, and the log says what is missing;
    dev and test must be there.

    Attributes:
      bitexts: for each split its parallel texts. Each is a tuple of alternatives, of
        which the first that is there is taken.
    """

    bitexts: ClassVar[dict[Split, tuple[tuple[Bitext, ...], ...]]]
    vocabulary: ClassVar[str | None] = VOCABULARY.name
    corpus: ClassVar[corpora.Corpus]

    @property
    def dataset_splits(self) -> list[dict[str, Any]]:
        """The splits, each as {"split": DatasetSplit, "shards": number of files}."""
        return [
            {"split": problem.DatasetSplit.TRAIN, "shards": 100},
            {"split": problem.DatasetSplit.EVAL, "shards": 1},
            {"split": problem.DatasetSplit.TEST, "shards": 1},
        ]

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, Any] | problem.Rejected]:
        """Yields the pairs of one split, text by text."""
        for name in self.sample_parts(data_dir, tmp_dir, dataset_split):
            yield from self.generate_part(data_dir, tmp_dir, dataset_split, name)

    def sample_parts(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Sequence[str]:
        """Returns the names of the parallel texts of a split that are there."""
        folder, split = self.corpus_folder(tmp_dir), Split(dataset_split)
        found = self._find(folder, split)
        if split == Split.TRAIN:
            # Nobody should learn after hours that dev is missing.
            for part in self.dataset_splits:
                self._find(folder, part["split"])
        self._log(split, found)
        return [bitext.name for bitext in found]

    def generate_part(
        self, data_dir: str, tmp_dir: str, dataset_split: Split, part: str
    ) -> Iterator[dict[str, Any] | problem.Rejected]:
        """Yields the pairs of one text."""
        found = self._find(self.corpus_folder(tmp_dir), Split(dataset_split))
        (files,) = (found[bitext] for bitext in found if bitext.name == part)
        yield from text_files.read_bitext(files, part)

    def generate_text_for_vocab(self, data_dir: str, tmp_dir: str) -> Iterator[str]:
        """Yields texts of all training files in turn, so that each has its share.

        A pair of languages without files adds nothing to a vocabulary of several.

        Raises:
          FileNotFoundError: if there are files of no pair.
        """
        folder = self.corpus_folder(tmp_dir)
        found = wmt_files.find(self.bitexts[Split.TRAIN], folder)
        if not found:
            if not any(wmt_files.find(texts, folder) for texts in _training_texts()):
                raise self._no_files(folder, Split.TRAIN)
            logging.warning(
                "vocabulary | there is no text of %s in '%s'", self.name, folder
            )
            return
        streams = [
            itertools.islice(text_files.read_bitext(files, text.name), VOCABULARY_LINES)
            for text, files in found.items()
        ]
        for sample in itertools.chain.from_iterable(itertools.zip_longest(*streams)):
            if isinstance(sample, dict):
                yield from self.sample_texts(sample)

    def _find(self, folder: str, split: Split) -> dict[Bitext, wmt_files.Files]:
        found = wmt_files.find(self.bitexts[split], folder)
        if not found:
            raise self._no_files(folder, split)
        return found

    def _log(self, split: Split, found: Collection[Bitext]) -> None:
        missing = [
            options[0].name
            for options in self.bitexts[split]
            if not {*options} & {*found}
        ]
        logging.info(
            "%s %s | texts: %s; missing: %s",
            self.name,
            split,
            ", ".join(bitext.name for bitext in found),
            ", ".join(missing) or "none",
        )

    def _no_files(self, folder: str, split: Split) -> FileNotFoundError:
        names = "; or ".join(
            " and ".join(bitext.files)
            for options in self.bitexts[split]
            for bitext in options
        )
        return FileNotFoundError(
            f"{self.name} ({split}) needs {names}. "
            f"{self.corpus.help_page(self.name, folder)}"
        )


def _training_texts() -> Iterator[tuple[tuple[Bitext, ...], ...]]:
    for name in VOCABULARY.problems:
        yield registry.problem(name).bitexts[Split.TRAIN]


@registry.register_problem("wmt_ende")
class WmtEnde(WmtProblem):
    """English to German."""

    input_space = SpaceId.EN_TOK
    target_space = SpaceId.DE_TOK
    bitexts = {
        Split.TRAIN: (
            (wmt_files.europarl("de-en", "en", "de"),),
            (wmt_files.common_crawl("de-en", "en", "de"),),
            (
                wmt_files.news_commentary("v11", "de-en", "en", "de"),
                wmt_files.news_commentary("v9", "de-en", "en", "de"),
            ),
        ),
        Split.EVAL: (wmt_files.newstest2013("en", "de"),),
        Split.TEST: (wmt_files.newstest2014("deen", "en", "de"),),
    }
    corpus = wmt_files.corpus(
        "English-German", wmt_files.EUROPARL, wmt_files.COMMON_CRAWL, wmt_files.NEWS_V11
    )


@registry.register_problem("wmt_enfr")
class WmtEnfr(WmtProblem):
    """English to French."""

    input_space = SpaceId.EN_TOK
    target_space = SpaceId.FR_TOK
    bitexts = {
        Split.TRAIN: (
            (wmt_files.europarl("fr-en", "en", "fr"),),
            (wmt_files.common_crawl("fr-en", "en", "fr"),),
            (wmt_files.news_commentary("v9", "fr-en", "en", "fr"),),
            (wmt_files.united_nations("en", "fr"),),
            (wmt_files.giga_fren("en", "fr"),),
        ),
        Split.EVAL: (wmt_files.newstest2013("en", "fr"),),
        Split.TEST: (wmt_files.newstest2014("fren", "en", "fr"),),
    }
    corpus = wmt_files.corpus(
        "English-French",
        wmt_files.EUROPARL,
        wmt_files.COMMON_CRAWL,
        wmt_files.NEWS_V9,
        wmt_files.UNITED_NATIONS,
        wmt_files.GIGA_FREN,
    )


@registry.register_problem("wmt_defr")
class WmtDefr(WmtProblem):
    """German to French."""

    input_space = SpaceId.DE_TOK
    target_space = SpaceId.FR_TOK
    bitexts = {
        Split.TRAIN: tuple((bitext,) for bitext in wmt_files.GERMAN_FRENCH),
        Split.EVAL: (wmt_files.newstest2013("de", "fr"),),
        Split.TEST: ((wmt_files.EU_ELECTIONS_2019,),),
    }
    corpus = wmt_files.corpus("German-French", *wmt_files.GERMAN_FRENCH_DOWNLOADS)
