"""Base class of a problem: a dataset with a task.

A problem is used twice. Making data runs without TensorFlow:

    generate_samples -> encode -> records in shards        (data/generation.py)

and reading turns records back into what a model sees:

    records -> parse -> preprocess -> padded batches       (data/pipeline.py)

Subclasses rarely start here: `data/text_problem.py`, `data/image_problem.py` and
`data/audio_problem.py` leave only `generate_samples` to write.
"""

import abc
import dataclasses
import enum
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from etils import epy

from t2t_mm import registry
from t2t_mm.data import corpus as corpora
from t2t_mm.data import downloads
from t2t_mm.features import FeatureSpec, Split

with epy.lazy_imports():
    import tensorflow as tf

if TYPE_CHECKING:
    from t2t_mm.data import output_rules  # imports this module

DatasetSplit = Split
Record = dict[str, list[Any]]

DEFAULT_RANDOM_SEED = 429459


class Source(enum.Enum):
    """Where the samples of a problem come from, as things are."""

    NOWHERE = "made up by the problem itself"
    PATH = "files of the user, in the place that --corpus_path names"
    DOWNLOADS = "files that are fetched"
    TFDS = "TensorFlow Datasets"
    UNKNOWN = "files of the user, who has not said where"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rejected:
    """Stands for a sample of the corpus that makes no record.

    `generate_samples` yields it in place of a sample, so that nothing is left out in
    silence: what was rejected is counted by reason, logged and kept in the manifest.

    Attributes:
      name: which sample, as a user finds it: "europarl-v7.de-en line 17".
      reason: why, in few words without particulars: "blank line".
      harmless: whether it is expected; the others are bad and count against the limit
        above which a corpus is refused.
    """

    name: str
    reason: str
    harmless: bool = False


class Problem(abc.ABC):
    """A dataset with a task: how its records are made, read and judged.

    A problem reads and writes nothing by itself but its source; records and
    vocabularies live in a data folder that each method is given.

    Attributes:
      name: set by `registry.register_problem`.
      generator_version: raise it when the same settings make other records.
      is_generate_per_split: whether `generate_samples` is asked for each split; if not,
        one stream is dealt over the shards of all splits.
      batch_size_means_tokens: whether `hparams.batch_size` (tokens) or
        `hparams.batch_examples` sets the size of batches.
      metrics: names of the metrics of an evaluation, which sees the true targets.
      scores: names of the scores of decoded outputs, of those in `t2t_mm/evaluation/`
        or registered with `registry.register_score`.
      output_rule: what all outputs look like, for decoding with `constrained=true`;
        None if there is nothing to say.
      several_references: whether records with the same inputs, such as captions of one
        image, are scored as one example with several right outputs.
      record_types: "int64" (ids), "float32" (numbers) or "string" (bytes) for each
        feature of a record.
      record_features: which feature of a record is each feature of a batch.
      corpus: what the samples are made from; None if they are made up.
      corpus_path: where the user has it; set before `generate_samples`.
      tfds_name: the dataset of TensorFlow Datasets that it reads, through
        `data/tfds_source.py`, if it reads one: "wmt14_translate/de-en". A problem that
        has a `corpus` too reads that if the user says where it is.
      random_seed: set before `generate_samples`; `random` and `numpy.random` are
        seeded from it too, for each split differently.
    """

    name: ClassVar[str]
    generator_version: ClassVar[int] = 1
    is_generate_per_split: bool = True
    batch_size_means_tokens: ClassVar[bool] = False
    metrics: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "accuracy_per_sequence",
        "neg_log_perplexity",
    )
    scores: ClassVar[tuple[str, ...]] = ()
    output_rule: ClassVar["output_rules.TreeRule | None"] = None
    several_references: ClassVar[bool] = False
    record_types: ClassVar[Mapping[str, str]] = {"inputs": "int64", "targets": "int64"}
    record_features: ClassVar[Mapping[str, str]] = {
        "inputs": "inputs",
        "targets": "targets",
    }
    corpus: ClassVar[corpora.Corpus | None] = None
    corpus_path: str | None = None
    tfds_name: ClassVar[str | None] = None
    random_seed: int = DEFAULT_RANDOM_SEED

    @property
    def dataset_name(self) -> str:
        """The problem whose records this one reads; itself, unless it is a variant."""
        return self.name

    @classmethod
    def variant(cls, suffix: str) -> type["Problem"]:
        """Returns the problem with inputs and targets turned round, or copied.

        Args:
          suffix: "_rev" for the targets as inputs and the inputs as targets, "_copy"
            for the inputs as both.

        Raises:
          ValueError: if inputs and targets are not of one kind.
        """
        raise ValueError(
            f"There is no '{cls.name}{suffix}': only problems whose inputs and targets "
            "are both text can be turned round or copied."
        )

    # Making records.

    @property
    def dataset_splits(self) -> list[dict[str, Any]]:
        """The splits, each as {"split": DatasetSplit, "shards": number of files}."""
        return [
            {"split": DatasetSplit.TRAIN, "shards": 10},
            {"split": DatasetSplit.EVAL, "shards": 1},
            {"split": DatasetSplit.TEST, "shards": 1},
        ]

    @abc.abstractmethod
    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, Any] | Rejected]:
        """Yields raw samples, such as {"inputs": "Hello", "targets": "Hallo"}.

        Text is str, an image uint8 `[height, width, channels]`, a waveform float32
        `[samples]` between -1 and 1, a class an int or its name. "name" may say which
        sample it is, for messages. Slow work belongs into `encode`, which runs in
        several processes: yield the path of an image rather than its pixels.

        Args:
          data_dir: where the records go.
          tmp_dir: where downloads may be kept.
          dataset_split: which part to make.
        """

    def sample_parts(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Sequence[str]:
        """Returns names of parts of a split that can be generated side by side.

        A problem with more than one defines `generate_part` too. The order of the parts
        decides the records.
        """
        return ("",)

    def generate_part(
        self, data_dir: str, tmp_dir: str, dataset_split: Split, part: str
    ) -> Iterator[dict[str, Any] | Rejected]:
        """Yields the samples of one of `sample_parts`, as `generate_samples` does."""
        return self.generate_samples(data_dir, tmp_dir, dataset_split)

    def start_encoding(self, data_dir: str) -> None:  # noqa: B027 - few need it
        """Prepares for many calls of `encode` with the same data folder."""

    def encode(self, sample: Mapping[str, Any], data_dir: str) -> Record:
        """Turns a raw sample into the lists of ints, floats or bytes of one record."""
        return {
            "inputs": self.encode_inputs(sample["inputs"], data_dir),
            "targets": self.encode_targets(sample["targets"], data_dir),
        }

    @abc.abstractmethod
    def encode_inputs(self, value: Any, data_dir: str) -> list[Any]:
        """Turns one raw input into the "inputs" of a record."""

    @abc.abstractmethod
    def encode_targets(self, value: Any, data_dir: str) -> list[Any]:
        """Turns one raw target into the "targets" of a record."""

    def inputs_length(self, inputs: Sequence[Any]) -> int:
        """Returns the length of a record's inputs in a batch: ids, frames or 1."""
        return len(inputs)

    def record_lengths(self, record: Record) -> tuple[int, int]:
        """Returns the lengths of inputs (0 if there are none) and targets."""
        inputs = record.get("inputs")
        return (self.inputs_length(inputs) if inputs else 0), len(record["targets"])

    def generation_settings(self) -> dict[str, Any]:
        """Returns, as JSON, what else decides the records; a change remakes them."""
        return {} if self.tfds_name is None else {"tfds_name": self.tfds_name}

    @property
    def vocabulary_spec(self) -> registry.VocabularySpec | None:
        """The subword vocabulary that the records are encoded with, or None."""
        return None

    @property
    def vocabulary_files(self) -> tuple[str, ...]:
        """Files of a data folder that say what the ids of records mean."""
        spec = self.vocabulary_spec
        return () if spec is None else (spec.filename,)

    def choose_vocabulary(  # noqa: B027 - only text has one
        self, choice: registry.VocabularySpec | str
    ) -> None:
        """Encodes all text with a vocabulary, "bytes" or the "default" one.

        Does nothing to a problem without text.
        """

    @property
    def vocabulary_choice(self) -> str:
        """What was chosen: the file of a vocabulary, "bytes" or "default"."""
        return registry.DEFAULT_VOCABULARY

    def generate_text_for_vocab(self, data_dir: str, tmp_dir: str) -> Iterator[str]:
        """Yields the training text from which `vocabulary_spec` is built."""
        for sample in self.generate_samples(data_dir, tmp_dir, DatasetSplit.TRAIN):
            if not isinstance(sample, Rejected):
                yield from self.sample_texts(sample)

    def sample_texts(self, sample: Mapping[str, Any]) -> Iterator[str]:
        """Yields the texts of a sample that are encoded with the vocabulary."""
        yield from ()

    @property
    def source(self) -> Source:
        """Where the samples come from, going by what the user has said."""
        if self.corpus is not None and self.corpus_path is not None:
            return Source.PATH
        if self.corpus is not None and self.corpus.downloads:
            return Source.DOWNLOADS
        if self.tfds_name is not None:
            return Source.TFDS
        return Source.NOWHERE if self.corpus is None else Source.UNKNOWN

    def require_corpus_path(self) -> str:
        """Returns the user's path of `corpus`.

        Raises:
          FileNotFoundError: if none was given or it does not exist; says what it is,
            how to obtain it and what it must hold.
        """
        if self.corpus_path and os.path.exists(self.corpus_path):
            return self.corpus_path
        if self.corpus is None:
            raise ValueError(f"{type(self).__name__} must define `corpus`.")
        raise FileNotFoundError(self.corpus.help_page(self.name, self.corpus_path))

    def corpus_files(self) -> Sequence[str]:
        """Returns the user's files and folders that decide the records.

        Records are made again when a name or a size there has changed.

        Raises:
          FileNotFoundError: see `require_corpus_path`.
        """
        return (self.require_corpus_path(),)

    def corpus_folder(self, tmp_dir: str) -> str:
        """Returns where `corpus` is: the user's path, or else what was downloaded.

        Args:
          tmp_dir: where downloads are kept; they are fetched if they are not there.

        Raises:
          FileNotFoundError: if the user must have the corpus and has not said where.
          OSError: if a file cannot be fetched; names the files and where to put them.
          ValueError: if a file has another content than it should.
        """
        if self.source is Source.DOWNLOADS and self.corpus is not None:
            return downloads.fetch(self.corpus, tmp_dir)
        return self.require_corpus_path()

    # Reading records.

    def feature_specs(self, data_dir: str) -> dict[str, FeatureSpec]:
        """Returns the specs of "inputs" (if the problem has them) and "targets"."""
        inputs_spec = self.inputs_spec(data_dir)
        inputs = {} if inputs_spec is None else {"inputs": inputs_spec}
        return {**inputs, "targets": self.targets_spec(data_dir)}

    @abc.abstractmethod
    def inputs_spec(self, data_dir: str) -> FeatureSpec | None:
        """Returns what the inputs are; None for a language model."""

    @abc.abstractmethod
    def targets_spec(self, data_dir: str) -> FeatureSpec:
        """Returns what the targets are."""

    def preprocess(
        self, features: dict[str, Any], padded_lengths: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Maps a batch of parsed records to the features of a batch.

        Runs in a graph; each feature is padded to its length with zeros.

        Args:
          features: `inputs` and `targets` (either may be absent) as parsed, ids as a
            ragged `[batch, None]` int64, numbers as ragged float32, or bytes as
            `[batch]` string; `inputs_length` and `targets_length` `[batch]` int32.
          padded_lengths: `[]` int32, the length to pad `inputs` and `targets` to.

        Returns:
          The same with `[batch, length]` int32 ids or float32 numbers; subclasses
          decode bytes.
        """
        return {
            name: (
                _pad(value, padded_lengths[name])
                if isinstance(value, tf.RaggedTensor)
                else value
            )
            for name, value in features.items()
        }

    # Decoding.

    def read_input(self, line: str) -> Any:
        """Returns the raw input that a line of a decoder's input file stands for."""
        return line

    def decode_inputs(self, ids: Sequence[int], data_dir: str) -> str:
        """Returns the text of input ids, up to the id that ends a sequence.

        Raises:
          TypeError: if inputs are no text.
        """
        raise TypeError(f"The inputs of {self.name} are not text.")

    @abc.abstractmethod
    def decode_targets(self, ids: Sequence[Any], data_dir: str) -> str:
        """Returns predicted targets as a line of text.

        Args:
          ids: those of a text, the one of a class, or whatever else the modality of the
            targets predicts, such as numbers.
          data_dir: folder of the vocabulary.
        """


def _pad(values: Any, length: Any) -> Any:
    padded = values.to_tensor(shape=tf.stack([-1, length]))  # with zeros
    return tf.cast(padded, tf.int32) if padded.dtype.is_integer else padded
