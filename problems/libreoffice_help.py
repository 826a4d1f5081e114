"""Translation between English, German and French, from the help of LibreOffice.

The help says the same in each language, text by text, so one small corpus serves every
direction. A sentence is in the same split whatever the direction: the split hangs on
its English.
"""

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar

from t2t_mm import registry
from t2t_mm.data import splits, text_problem
from t2t_mm.features import SpaceId, Split
from t2t_mm.problems import debian, libreoffice_html

MIN_WORDS = 3
MAX_WORDS = 25
DEV_PERCENT = 4
TEST_PERCENT = 4

# Dev and test are kept out of what comes before them.
_HELD_OUT_FROM = {
    Split.TRAIN: (Split.EVAL, Split.TEST),
    Split.EVAL: (Split.TEST,),
    Split.TEST: (),
}
_NOT_WORD = re.compile(r"\W+")
_TWO_SMALL_LETTERS = re.compile(r"[a-zß-öø-ÿ]{2}")

VOCABULARY = registry.register_vocabulary(
    registry.VocabularySpec(
        name="mini",
        # Each language twice.
        problems=("mini_ende", "mini_enfr", "mini_defr"),
    )
)


class HelpProblem(debian.PackageProblem, text_problem.Text2TextProblem):
    """One direction of translation.

    Attributes:
      languages: of the inputs and of the targets.
    """

    languages: ClassVar[tuple[str, str]]
    vocabulary: ClassVar[str | None] = VOCABULARY.name
    corpus = debian.packages_corpus(
        "libreoffice-help-en-us", "libreoffice-help-de", "libreoffice-help-fr"
    )
    package_folder: ClassVar[str] = "usr/share/libreoffice/help"
    package_files: ClassVar[tuple[str, ...]] = tuple(
        f"{folder}/text" for folder in libreoffice_html.LANGUAGE_FOLDERS.values()
    )

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, str]]:
        """Yields the pairs of one split, in the order of the pages."""
        split = Split(dataset_split)
        sentences = libreoffice_html.read_sentences(self.require_corpus_path())
        held_out = _texts_of(sentences, _HELD_OUT_FROM[split])
        inputs_language, targets_language = self.languages
        for sentence in choose_pairs(sentences, *self.languages):
            inputs, targets = sentence[inputs_language], sentence[targets_language]
            texts = (normalize(inputs), normalize(targets))
            if split_of(sentence["en"]) == split and held_out.isdisjoint(texts):
                yield {"inputs": inputs, "targets": targets}


@registry.register_problem("mini_ende")
class MiniEnde(HelpProblem):
    """English to German."""

    languages = ("en", "de")
    input_space = SpaceId.EN_TOK
    target_space = SpaceId.DE_TOK


@registry.register_problem("mini_deen")
class MiniDeen(HelpProblem):
    """German to English."""

    languages = ("de", "en")
    input_space = SpaceId.DE_TOK
    target_space = SpaceId.EN_TOK


@registry.register_problem("mini_enfr")
class MiniEnfr(HelpProblem):
    """English to French."""

    languages = ("en", "fr")
    input_space = SpaceId.EN_TOK
    target_space = SpaceId.FR_TOK


@registry.register_problem("mini_defr")
class MiniDefr(HelpProblem):
    """German to French."""

    languages = ("de", "fr")
    input_space = SpaceId.DE_TOK
    target_space = SpaceId.FR_TOK


def choose_pairs(
    sentences: Iterable[libreoffice_html.Sentence],
    inputs_language: str,
    targets_language: str,
) -> Iterator[libreoffice_html.Sentence]:
    """Yields good pairs, one for each input: the one whose target sorts first."""
    best: dict[str, libreoffice_html.Sentence] = {}
    for sentence in sentences:
        if is_good_pair(sentence, inputs_language, targets_language):
            inputs = sentence[inputs_language]
            # English decides between equal pairs, and so their split.
            best[inputs] = min(
                best.get(inputs, sentence),
                sentence,
                key=lambda candidate: (candidate[targets_language], candidate["en"]),
            )
    yield from best.values()


def is_good_pair(
    sentence: libreoffice_html.Sentence, inputs_language: str, targets_language: str
) -> bool:
    """Returns whether two of the texts look like a sentence and its translation.

    What has not been translated yet is English in every language, so texts must differ
    from the English too.
    """
    texts = (sentence[inputs_language], sentence[targets_language])
    fewer, more = sorted(len(text.split()) for text in texts)
    num_languages = len({inputs_language, targets_language, "en"})
    return (
        MIN_WORDS <= fewer
        and more <= min(MAX_WORDS, 2 * fewer + 1)
        and len({*texts, sentence["en"]}) == num_languages
        and all(map(_TWO_SMALL_LETTERS.search, texts))
    )


def normalize(text: str) -> str:
    """Returns the words of a text in small letters, without punctuation."""
    return _NOT_WORD.sub(" ", text.lower()).strip()


def split_of(english: str) -> Split:
    """Returns the split of a sentence."""
    return splits.by_hash(normalize(english), DEV_PERCENT, TEST_PERCENT)


def _texts_of(
    sentences: Iterable[libreoffice_html.Sentence], wanted: tuple[Split, ...]
) -> set[str]:
    """Returns the texts of some splits in every language, normalized."""
    return {
        normalize(text)
        for sentence in sentences
        if split_of(sentence["en"]) in wanted
        for text in sentence.values()
    }
