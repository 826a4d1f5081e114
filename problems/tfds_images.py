"""Pictures and their classes, from TensorFlow Datasets or files of the user's own."""

import abc
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from t2t_mm import problem
from t2t_mm.data import image_problem, tfds_source
from t2t_mm.features import Split

Samples = Iterator[dict[str, Any] | problem.Rejected]


class TfdsImageClasses(image_problem.Image2ClassProblem):
    """Pictures to classes; `tfds_name` is read unless the user says where `corpus` is.

    Both have the same pictures in the test split. Which part of the training pictures
    is for dev may differ, as TensorFlow Datasets has an order of its own.

    Attributes:
      tfds_name: the dataset.
      tfds_splits: what it calls the splits.
    """

    tfds_name: ClassVar[str]
    tfds_splits: ClassVar[Mapping[Split, str]]

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Samples:
        """Yields the pictures of one split and their classes."""
        split = Split(dataset_split)
        if self.corpus_path is not None:
            yield from self.corpus_samples(self.require_corpus_path(), split)
            return
        part = self.tfds_splits[split]
        for sample in tfds_source.samples(self.tfds_name, part, tmp_dir):
            yield {
                "name": sample["tfds_id"],
                "inputs": sample["image"],
                "targets": int(sample["label"]),
            }

    @abc.abstractmethod
    def corpus_samples(self, path: str, split: Split) -> Samples:
        """Yields the pictures of one split of the user's files."""


def last_for_dev(count: int) -> dict[Split, str]:
    """Returns splits of which dev is the end of the training pictures.

    Args:
      count: how many are for dev.
    """
    return {
        Split.TRAIN: f"train[:-{count}]",
        Split.EVAL: f"train[-{count}:]",
        Split.TEST: "test",
    }


def rows_of(split: Split, count: int) -> slice:
    """Returns the rows of a split among all training, or all test pictures.

    Args:
      split: the split.
      count: how many of the training pictures, the last ones, are for dev.
    """
    return {
        Split.TRAIN: slice(None, -count),
        Split.EVAL: slice(-count, None),
        Split.TEST: slice(None),
    }[split]
