"""Targets that are one of a fixed number of classes."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from t2t_mm import problem
from t2t_mm.data import text_encoder
from t2t_mm.features import FeatureSpec, SpaceId


class ClassTargets(problem.Problem):
    """A problem whose targets are class labels, `[batch, 1]` int32 in a batch.

    Subclasses set `class_names`, or `num_classes` alone. A sample has its class under
    "targets" or "label", as an int or a name.

    Attributes:
      class_names: names of the classes in the order of their labels, or None.
    """

    class_names: ClassVar[tuple[str, ...] | None] = None
    metrics: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "accuracy_top5",
        "neg_log_perplexity",
    )
    scores: ClassVar[tuple[str, ...]] = ("exact",)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        if self.class_names is None:
            raise ValueError(
                f"{type(self).__name__} must define `class_names` or `num_classes`."
            )
        return len(self.class_names)

    def class_labels(self, data_dir: str) -> Sequence[str]:
        """Returns the names of the classes in the order of their labels."""
        return self.class_names or [f"ID_{label}" for label in range(self.num_classes)]

    def encode(self, sample: Mapping[str, Any], data_dir: str) -> problem.Record:
        """Turns a raw sample into a record; "label" is another word for "targets"."""
        if "label" in sample:
            sample = {"targets": sample["label"], **sample}
        return super().encode(sample, data_dir)

    def encode_targets(self, value: int | str, data_dir: str) -> list[int]:
        """Returns the label of a class.

        Raises:
          ValueError: if there is no such class.
        """
        encoder = text_encoder.ClassLabelEncoder(self.class_labels(data_dir))
        if isinstance(value, str):
            return encoder.encode(value)
        if not 0 <= value < self.num_classes:
            raise ValueError(
                f"A class of {self.name} must be at least 0 and below "
                f"{self.num_classes}; got {value}."
            )
        return [int(value)]

    def targets_spec(self, data_dir: str) -> FeatureSpec:
        """Returns the spec of a class label."""
        return FeatureSpec(
            modality="class_label",
            vocab_size=self.num_classes,
            # Classes of two problems mean different things, however many there are.
            vocabulary=self.name,
            space_id=SpaceId.IMAGE_LABEL,
            shape=(1,),
        )

    def decode_targets(self, ids: Sequence[int], data_dir: str) -> str:
        """Returns the name of a predicted class."""
        return text_encoder.ClassLabelEncoder(self.class_labels(data_dir)).decode(ids)
