"""Problems whose inputs are images."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from etils import epy

from t2t_mm import problem
from t2t_mm.data import class_targets, images, text_problem
from t2t_mm.data.images import ImageFit
from t2t_mm.features import FeatureSpec, SpaceId, Split

with epy.lazy_imports():
    import tensorflow as tf

SMALL_SIDE, LARGE_SIDE = 32, 299  # pixels

encode_png = images.encode_png  # part of what problems of T2T's users need


class ImageProblem(problem.Problem):
    """A problem whose inputs are images of one size.

    A record holds a PNG file or, if it is large, a JPEG file; a batch `[batch, height,
    width, channels]` uint8. See `data/images.py` for what is done to odd files.

    Attributes:
      image_shape: `(height, width, channels)`, 1 channel for grey or 3 for RGB.
      image_fit: what to do about images of other proportions.
      jpeg_quality: of large images in records, from 1 to 95.
    """

    image_fit: ClassVar[ImageFit] = ImageFit.STRETCH
    jpeg_quality: ClassVar[int] = 90
    record_types: ClassVar[Mapping[str, str]] = {"inputs": "string", "targets": "int64"}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels; a subclass just sets it."""
        raise ValueError(f"{type(self).__name__} must define `image_shape`.")

    def encode_inputs(self, value: Any, data_dir: str) -> list[bytes]:
        """Returns an image of any size as a PNG or JPEG file of `image_shape`.

        Args:
          value: uint8 `[height, width, channels]`, or an image file: its bytes, or
            whatever can `read_bytes`, such as a `pathlib.Path` or a member of an
            archive. A PNG or JPEG file that fits is kept as it is.
          data_dir: not used.

        Raises:
          OSError: if the file cannot be read.
          ValueError: if it is no whole image, or an array of another kind.
        """
        if hasattr(value, "read_bytes"):
            value = value.read_bytes()
        shape, quality = self.image_shape, self.jpeg_quality
        if isinstance(value, bytes):
            return [images.fit_file(value, shape, self.image_fit, quality)]
        pixels = images.fit_array(np.asarray(value), shape, self.image_fit)
        return [images.encode(pixels, quality)]

    def inputs_spec(self, data_dir: str) -> FeatureSpec | None:
        """Returns the spec of an image."""
        return FeatureSpec(
            modality="image",
            space_id=SpaceId.IMAGE,
            shape=self.image_shape,
            dtype="uint8",
        )

    def generation_settings(self) -> dict[str, Any]:
        """Returns the settings that decide the records."""
        settings = {
            **super().generation_settings(),
            "image_shape": list(self.image_shape),
        }
        if self.image_fit != ImageFit.STRETCH:
            settings["image_fit"] = str(self.image_fit)
        if not images.is_stored_as_png(self.image_shape):
            settings["jpeg_quality"] = self.jpeg_quality
        return settings

    def preprocess(
        self, features: dict[str, Any], padded_lengths: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Decodes the images of a batch to `[batch, height, width, channels]` uint8."""
        features = super().preprocess(features, padded_lengths)
        images = tf.map_fn(
            lambda content: tf.ensure_shape(
                tf.io.decode_png(content, channels=self.image_shape[-1]),
                self.image_shape,
            ),
            features["inputs"],
            fn_output_signature=tf.uint8,
        )
        return {**features, "inputs": images}

    def read_input(self, line: str) -> np.ndarray:
        """Reads the image file that `line` names, made to fit `image_shape`.

        Raises:
          FileNotFoundError: if there is no such file.
          ValueError: if it is no whole image.
        """
        content = pathlib.Path(line.strip()).read_bytes()
        return images.read_file(content, self.image_shape, self.image_fit)


class Image2ClassProblem(class_targets.ClassTargets, ImageProblem):
    """An image to its class: samples are {"inputs": image, "label": int or name}.

    Subclasses define `generate_samples`, or Tensor2Tensor's `generator`.

    Attributes:
      train_shards: number of training files.
      dev_shards: number of evaluation files.
      is_small: where a problem of Tensor2Tensor has no `image_shape`, whether it has 32
        pixels along a side, as CIFAR-10, or 299, as ImageNet.
    """

    train_shards: int = 10
    dev_shards: int = 1
    is_small: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Lets `class_labels` be a property, as it was in Tensor2Tensor."""
        super().__init_subclass__(**kwargs)
        labels = cls.__dict__.get("class_labels")
        if isinstance(labels, property):

            def class_labels(self: Any, data_dir: str) -> Sequence[str]:
                return labels.__get__(self)

            cls.class_labels = class_labels  # type: ignore[assignment,method-assign]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels that every image is given."""
        side = SMALL_SIDE if self.is_small else LARGE_SIDE
        return (side, side, 3)

    @property
    def dataset_splits(self) -> list[dict[str, Any]]:
        """The splits; `generator` cannot tell a test split from an evaluation split."""
        splits = [
            {"split": Split.TRAIN, "shards": self.train_shards},
            {"split": Split.EVAL, "shards": self.dev_shards},
        ]
        if type(self).generator is not Image2ClassProblem.generator:
            return splits
        return [*splits, {"split": Split.TEST, "shards": self.dev_shards}]

    def generator(
        self, data_dir: str, tmp_dir: str, is_training: bool
    ) -> Iterator[dict[str, Any]]:
        """Yields {"image/encoded": [bytes], "image/class/label": [int], ...}."""
        raise NotImplementedError(
            f"{type(self).__name__} must define `generate_samples` or `generator`."
        )

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, Any] | problem.Rejected]:
        """Yields the samples of `generator`."""
        for example in self.generator(data_dir, tmp_dir, dataset_split == Split.TRAIN):
            (content,) = example["image/encoded"]
            (label,) = example["image/class/label"]
            yield {"inputs": content, "targets": label}


class Image2TextProblem(text_problem.TextTargets, ImageProblem):
    """An image to text: samples are {"inputs": image, "targets": str}.

    Samples of the same image should follow each other: it is then decoded once.
    """

    scores: ClassVar[tuple[str, ...]] = ("exact", "bleu", "cider", "rouge_l")
    several_references: ClassVar[bool] = True
    _latest: tuple[Any, list[bytes]] | None = None  # an image, and what it became

    def encode_inputs(self, value: Any, data_dir: str) -> list[bytes]:
        """Returns an image of any size as a file, see `ImageProblem`."""
        if isinstance(value, np.ndarray):
            return super().encode_inputs(value, data_dir)
        latest = self._latest  # another thread may set it in between
        if latest is None or latest[0] != value:
            latest = (value, super().encode_inputs(value, data_dir))
            self._latest = latest
        return latest[1]
