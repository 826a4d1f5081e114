"""Translation by the bitexts of TensorFlow Datasets."""

from collections.abc import Iterator
from typing import Any, ClassVar

from t2t_mm import problem, registry
from t2t_mm.data import text_files, text_problem, tfds_source
from t2t_mm.features import SpaceId, Split

TFDS_SPLITS = {Split.TRAIN: "train", Split.EVAL: "validation", Split.TEST: "test"}


class TfdsPairs(text_problem.Text2TextProblem):
    """Translation by a dataset that has a text per language.

    Attributes:
      languages: of inputs and targets, as the dataset calls them.
      tfds_splits: what the dataset calls its splits.
    """

    languages: ClassVar[tuple[str, str]]
    tfds_splits: ClassVar[dict[Split, str]] = TFDS_SPLITS
    tfds_name: ClassVar[str]

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, Any] | problem.Rejected]:
        """Yields the pairs of one split."""
        split = self.tfds_splits[Split(dataset_split)]
        inputs, targets = self.languages
        for sample in tfds_source.samples(self.tfds_name, split, tmp_dir):
            yield text_files.make_pair(
                sample[inputs], sample[targets], sample["tfds_id"]
            )


@registry.register_problem("tfds_wmt14_ende")
class TfdsWmt14Ende(TfdsPairs):
    """English to German, the training texts of WMT 2014."""

    tfds_name = "wmt14_translate/de-en"
    languages = ("en", "de")
    input_space = SpaceId.EN_TOK
    target_space = SpaceId.DE_TOK


@registry.register_problem("tfds_wmt14_enfr")
class TfdsWmt14Enfr(TfdsPairs):
    """English to French, the training texts of WMT 2014."""

    tfds_name = "wmt14_translate/fr-en"
    languages = ("en", "fr")
    input_space = SpaceId.EN_TOK
    target_space = SpaceId.FR_TOK


@registry.register_problem("tfds_ted_pten")
class TfdsTedPten(TfdsPairs):
    """Portuguese to English, subtitles of TED talks: small, 52,000 pairs."""

    tfds_name = "ted_hrlr_translate/pt_to_en"
    languages = ("pt", "en")
    target_space = SpaceId.EN_TOK
