"""Targets that are one of a fixed number of classes."""

import contextlib
import functools
import operator
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from absl import logging

from t2t_mm import problem
from t2t_mm.data import manifest
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
    scores: ClassVar[tuple[str, ...]] = ("top1", "top5")

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
        names = self.class_labels(data_dir)
        if isinstance(value, str):
            if value not in names:
                raise ValueError(
                    f"There is no class '{value}'. There are: {', '.join(names)}."
                )
            return [names.index(value)]
        try:
            label = operator.index(value)
        except TypeError:
            raise ValueError(
                f"A class of {self.name} must be a whole number or a name; got "
                f"{value!r}."
            ) from None
        if not 0 <= label < len(names):
            raise ValueError(
                f"A class of {self.name} must be at least 0 and below {len(names)}; "
                f"got {value}."
            )
        return [label]

    def targets_spec(self, data_dir: str) -> FeatureSpec:
        """Returns the spec of a class label."""
        return FeatureSpec(
            modality="class_label",
            vocab_size=len(self.class_labels(data_dir)),
            # Classes of two problems mean different things, however many there are.
            vocabulary=self.name,
            space_id=SpaceId.IMAGE_LABEL,
            shape=(1,),
        )

    def decode_targets(self, ids: Sequence[int], data_dir: str) -> str:
        """Returns the name of a predicted class."""
        return self.class_labels(data_dir)[int(next(iter(ids)))]


class CorpusClassTargets(ClassTargets):
    """Targets whose classes the corpus names, such as the folders of images.

    Making records keeps the names in a file beside them, `<problem>.classes.txt`, one
    a line in the order of their labels. Like a vocabulary it goes into the folder of a
    run, so that a decoder needs no corpus.
    """

    @property
    def class_file(self) -> str:
        """Name of the file of the names in a data folder."""
        return f"{self.name}.classes.txt"

    @property
    def vocabulary_files(self) -> tuple[str, ...]:
        """Files of a data folder that say what the ids of records mean."""
        return (*super().vocabulary_files, self.class_file)

    @property
    def num_classes(self) -> int:
        """Not known without a data folder.

        Raises:
          ValueError: always.
        """
        raise ValueError(
            f"How many classes {self.name} has depends on its corpus: see "
            "`class_labels(data_dir)`."
        )

    def write_class_names(self, names: Sequence[str], data_dir: str) -> None:
        """Keeps the names; `generate_samples` calls it before its first sample.

        Raises:
          ValueError: if there is none, one is there twice, or one is over two lines.
        """
        content = "".join(f"{name}\n" for name in names)
        if (
            not names
            or len(set(names)) < len(names)
            or content.split("\n")[:-1] != [*names]
        ):
            raise ValueError(
                f"The classes of {self.name} must have names, each its own and on one "
                f"line; got {list(names)}."
            )
        path = os.path.join(data_dir, self.class_file)
        if os.path.exists(path) and _read_lines(path) == tuple(names):
            return
        # Records that there may be mean other classes: nobody must read them.
        with contextlib.suppress(FileNotFoundError):
            os.remove(manifest.path(self.name, data_dir))
        manifest.write_atomically(path, content.encode())
        logging.info("datagen | %s has %d classes", self.name, len(names))

    def class_labels(self, data_dir: str) -> Sequence[str]:
        """Returns the names of the classes in the order of their labels.

        Raises:
          FileNotFoundError: if no records have been made.
        """
        path = os.path.join(data_dir, self.class_file)
        if not os.path.exists(path):
            raise FileNotFoundError(
                f"The names of the classes of {self.name}, '{path}', do not exist. "
                "Make them with: "
                f"t2t-datagen --problem={self.name} --data_dir={data_dir}"
            )
        return _read_lines(path)


def _read_lines(path: str) -> tuple[str, ...]:
    return _cached_lines(path, os.stat(path).st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _cached_lines(path: str, modified: int) -> tuple[str, ...]:
    # Not by `splitlines`, which knows more ends of lines than "\n".
    with open(path, encoding="utf-8", newline="\n") as file:
        return tuple(line.removesuffix("\n") for line in file)
