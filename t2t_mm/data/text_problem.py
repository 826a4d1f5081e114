"""Problems over text, and text as the inputs or targets of any problem."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from t2t_mm import problem, registry
from t2t_mm.data import class_targets, text_encoder
from t2t_mm.features import EOS_ID, FeatureSpec, SpaceId

BYTE_VOCABULARY = "bytes"  # `FeatureSpec.vocabulary` of all byte-encoded text


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

    @property
    def vocabulary_spec(self) -> registry.VocabularySpec | None:
        """The subword vocabulary, or None for bytes."""
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
            name=self.name,
            approx_vocab_size=self.approx_vocab_size,
            problems=(self.name,),
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
        return [*self.text_encoder(data_dir).encode(text), EOS_ID]

    def text_spec(self, space_id: SpaceId, data_dir: str) -> FeatureSpec:
        """Returns the spec of ids of the vocabulary."""
        spec = self.vocabulary_spec
        return FeatureSpec(
            modality="symbol",
            vocab_size=self.text_encoder(data_dir).vocab_size,
            vocabulary=BYTE_VOCABULARY if spec is None else spec.filename,
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


class Text2ClassProblem(TextInputs, class_targets.ClassTargets):
    """Text to a class: samples are {"inputs": str, "label": int or name}."""
