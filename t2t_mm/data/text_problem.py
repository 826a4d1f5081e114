"""Problems over text, and text as the inputs or targets of any problem."""

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from t2t_mm import problem, registry
from t2t_mm.data import class_targets, text_encoder
from t2t_mm.features import EOS_ID, FeatureSpec, SpaceId

# Which feature of the problem the features of a variant are.
_FEATURES_OF_VARIANTS = {
    "_rev": {"inputs": "targets", "targets": "inputs"},
    "_copy": {"inputs": "inputs", "targets": "inputs"},
}


class VocabType:
    """Values of `vocab_type`."""

    SUBWORD = "subword"
    BYTE = "byte"
    CHARACTER = BYTE  # Tensor2Tensor's word


class TextCodec(problem.Problem):
    """A problem with text in it: which vocabulary encodes the text.

    Attributes:
      vocab_type: `VocabType.SUBWORD` or `VocabType.BYTE`.
      vocabulary: name of a registered vocabulary that several problems share; None for
        one of the problem's own.
      approx_vocab_size: number of subwords of a vocabulary of the problem's own.
      additional_reserved_tokens: texts that have an id each in such a vocabulary.
    """

    vocab_type: str = VocabType.SUBWORD
    vocabulary: ClassVar[str | None] = None
    approx_vocab_size: int = 2**13
    additional_reserved_tokens: Sequence[str] = ()
    _choice: registry.VocabularySpec | str | None = None  # made by the user
    _encoder: text_encoder.TextEncoder | None = None  # while many texts are encoded

    def choose_vocabulary(self, choice: registry.VocabularySpec | str) -> None:
        """Encodes all text with a vocabulary, "bytes" or the "default" one."""
        self._choice = None if choice == registry.DEFAULT_VOCABULARY else choice

    @property
    def vocabulary_choice(self) -> str:
        """What was chosen: the file of a vocabulary, "bytes" or "default"."""
        if isinstance(self._choice, registry.VocabularySpec):
            return self._choice.filename
        return self._choice or registry.DEFAULT_VOCABULARY

    @property
    def vocabulary_spec(self) -> registry.VocabularySpec | None:
        """The subword vocabulary, or None for bytes."""
        if self._choice is not None:
            return None if isinstance(self._choice, str) else self._choice
        if self.vocab_type == VocabType.BYTE:
            return None
        if self.vocab_type != VocabType.SUBWORD:
            raise ValueError(
                f"`vocab_type` of {self.name} must be '{VocabType.SUBWORD}' or "
                f"'{VocabType.BYTE}'; got '{self.vocab_type}'."
            )
        if self.vocabulary is not None:
            return registry.VOCABULARIES.get(self.vocabulary)
        return registry.VocabularySpec(
            name=self.dataset_name,
            approx_vocab_size=self.approx_vocab_size,
            problems=(self.dataset_name,),
            reserved_tokens=tuple(self.additional_reserved_tokens),
        )

    def text_encoder(self, data_dir: str) -> text_encoder.TextEncoder:
        """Returns the encoder of the problem's text.

        Raises:
          FileNotFoundError: if the vocabulary has not been built.
        """
        spec = self.vocabulary_spec
        if spec is None:
            return text_encoder.ByteTextEncoder()
        path = os.path.join(data_dir, spec.filename)
        if not os.path.exists(path):
            raise FileNotFoundError(
                f"The vocabulary of {self.name}, '{path}', does not exist. Make it "
                f"with: t2t-datagen --problem={self.name} --data_dir={data_dir}"
            )
        return text_encoder.load_subword_encoder(path)

    def encode_text(self, text: str, data_dir: str) -> list[int]:
        """Returns the ids of a text and the id that ends a sequence."""
        if not isinstance(text, str):
            raise ValueError(
                f"A text of {self.name} must be a str; got {type(text).__name__}."
            )
        encoder = self._encoder or self.text_encoder(data_dir)
        return [*encoder.encode(text), EOS_ID]

    def start_encoding(self, data_dir: str) -> None:
        """Finds the encoder once for many texts."""
        super().start_encoding(data_dir)
        self._encoder = self.text_encoder(data_dir)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the encoder to the process that needs it."""
        return {**self.__dict__, "_encoder": None}

    def text_spec(self, space_id: SpaceId, data_dir: str) -> FeatureSpec:
        """Returns the spec of ids of the vocabulary."""
        spec = self.vocabulary_spec
        return FeatureSpec(
            modality="symbol",
            vocab_size=self.text_encoder(data_dir).vocab_size,
            vocabulary=registry.BYTE_VOCABULARY if spec is None else spec.filename,
            space_id=space_id,
        )

    def generation_settings(self) -> dict[str, Any]:
        """Returns the settings that decide the records."""
        return {**super().generation_settings(), "vocab_type": self.vocab_type}


class TextInputs(TextCodec):
    """A problem whose inputs are text.

    Attributes:
      input_space: what the inputs mean.
    """

    input_space: SpaceId = SpaceId.GENERIC

    def encode_inputs(self, value: str, data_dir: str) -> list[int]:
        """Returns the ids of an input text, with the one that ends it."""
        return self.encode_text(value, data_dir)

    def decode_inputs(self, ids: Sequence[int], data_dir: str) -> str:
        """Returns the text of input ids, up to the id that ends a sequence."""
        return self.text_encoder(data_dir).decode(ids)

    def inputs_spec(self, data_dir: str) -> FeatureSpec | None:
        """Returns the spec of the input ids."""
        return self.text_spec(self.input_space, data_dir)

    def sample_texts(self, sample: Mapping[str, Any]) -> Iterator[str]:
        """Yields the texts of a sample that are encoded with the vocabulary."""
        yield sample["inputs"]
        yield from super().sample_texts(sample)


class TextTargets(TextCodec):
    """A problem whose targets are text.

    Attributes:
      target_space: what the targets mean.
    """

    target_space: SpaceId = SpaceId.GENERIC
    scores: ClassVar[tuple[str, ...]] = ("exact", "bleu", "chrf")

    def encode_targets(self, value: str, data_dir: str) -> list[int]:
        """Returns the ids of a target text, with the one that ends it."""
        return self.encode_text(value, data_dir)

    def targets_spec(self, data_dir: str) -> FeatureSpec:
        """Returns the spec of the target ids."""
        return self.text_spec(self.target_space, data_dir)

    def sample_texts(self, sample: Mapping[str, Any]) -> Iterator[str]:
        """Yields the texts of a sample that are encoded with the vocabulary."""
        yield sample["targets"]
        yield from super().sample_texts(sample)

    def decode_targets(self, ids: Sequence[int], data_dir: str) -> str:
        """Returns predicted ids as text, up to the id that ends a sequence."""
        return self.text_encoder(data_dir).decode(ids)


class Text2TextProblem(TextInputs, TextTargets):
    """Text to text: samples are {"inputs": str, "targets": str}."""

    batch_size_means_tokens: ClassVar[bool] = True

    @classmethod
    @functools.cache
    def variant(cls, suffix: str) -> type[problem.Problem]:
        """Returns the problem with inputs and targets turned round, or copied."""
        sources = _FEATURES_OF_VARIANTS[suffix]
        spaces = {"inputs": cls.input_space, "targets": cls.target_space}
        attributes: dict[str, Any] = {
            "__doc__": f"Reads the records of {cls.name}.",
            "__module__": cls.__module__,
            "name": cls.name + suffix,
            "dataset_name": cls().dataset_name,
            "record_features": {
                feature: cls.record_features[source]
                for feature, source in sources.items()
            },
            "input_space": spaces[sources["inputs"]],
            "target_space": spaces[sources["targets"]],
        }
        return type(cls.__name__ + suffix, (cls,), attributes)


class Text2SelfProblem(TextTargets):
    """A language model: samples are {"targets": str}."""

    batch_size_means_tokens: ClassVar[bool] = True
    record_types: ClassVar[Mapping[str, str]] = {"targets": "int64"}

    def encode(self, sample: Mapping[str, Any], data_dir: str) -> problem.Record:
        """Turns a raw sample into a record without inputs."""
        return {"targets": self.encode_targets(sample["targets"], data_dir)}

    def encode_inputs(self, value: Any, data_dir: str) -> list[Any]:
        """Refuses: there are none."""
        raise ValueError(f"{self.name} is a language model and has no inputs.")

    def inputs_spec(self, data_dir: str) -> FeatureSpec | None:
        """Returns None."""
        return None


class Text2ClassProblem(TextInputs, class_targets.ClassTargets):
    """Text to a class: samples are {"inputs": str, "label": int or name}."""
