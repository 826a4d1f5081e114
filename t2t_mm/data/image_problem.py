"""Problems whose inputs are images."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from etils import epy

from t2t_mm import problem
from t2t_mm.data import class_targets, text_problem
from t2t_mm.features import FeatureSpec, SpaceId, Split

with epy.lazy_imports():
    import tensorflow as tf
    from PIL import Image

PNG_COMPRESSION_LEVEL = 6
SMALL_SIDE, LARGE_SIDE = 32, 299  # pixels


class ImageProblem(problem.Problem):
    """A problem whose inputs are images of one size.

    A record holds a PNG or JPEG file; a batch `[batch, height, width, channels]` uint8.

    Attributes:
      image_shape: `(height, width, channels)`, 1 channel for grey or 3 for RGB.
    """

    record_types: ClassVar[Mapping[str, str]] = {"inputs": "string", "targets": "int64"}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels; a subclass just sets it."""
        raise ValueError(f"{type(self).__name__} must define `image_shape`.")

    def encode_inputs(self, value: Any, data_dir: str) -> list[bytes]:
        """Returns an image as a PNG or JPEG file of `image_shape`.

        Args:
          value: uint8 array of `image_shape`, or the bytes of an image file, which is
            resized if it has another size.
          data_dir: not used.

        Raises:
          ValueError: for an array of another shape or dtype.
        """
        if isinstance(value, bytes):
            return [self._fit_file(value)]
        image = np.asarray(value)
        if image.shape != self.image_shape or image.dtype != np.uint8:
            raise ValueError(
                f"An image of {self.name} must be uint8 of shape {self.image_shape}; "
                f"got {image.dtype} of shape {image.shape}."
            )
        return [encode_png(image)]

    def _fit_file(self, content: bytes) -> bytes:
        height, width, channels = self.image_shape
        mode = _pil_mode(channels)
        with Image.open(io.BytesIO(content)) as image:
            fits = (image.width, image.height, image.mode) == (width, height, mode)
            if fits and image.format in ("PNG", "JPEG"):
                return content
            return encode_png(_resize(image, self.image_shape))

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
        image_shape = list(self.image_shape)
        return {**super().generation_settings(), "image_shape": image_shape}

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
        """Reads the image file that `line` names, resized to `image_shape`.

        Raises:
          FileNotFoundError: if there is no such file.
        """
        with Image.open(line.strip()) as image:
            return _resize(image, self.image_shape)


def encode_png(image: np.ndarray) -> bytes:
    """Returns a uint8 `[height, width, channels]` image as a PNG file."""
    pixels = image[:, :, 0] if image.shape[-1] == 1 else image
    content = io.BytesIO()
    Image.fromarray(pixels).save(
        content, format="PNG", compress_level=PNG_COMPRESSION_LEVEL
    )
    return content.getvalue()


def _pil_mode(channels: int) -> str:
    return {1: "L", 3: "RGB"}[channels]


def _resize(image: Any, shape: Sequence[int]) -> np.ndarray:
    height, width, channels = shape
    converted = image.convert(_pil_mode(channels))
    if converted.size != (width, height):
        converted = converted.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(converted, np.uint8).reshape(height, width, channels)


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

            def class_labels(
                self: "Image2ClassProblem", data_dir: str
            ) -> Sequence[str]:
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
    ) -> Iterator[dict[str, Any]]:
        """Yields the samples of `generator`."""
        for example in self.generator(data_dir, tmp_dir, dataset_split == Split.TRAIN):
            (content,) = example["image/encoded"]
            (label,) = example["image/class/label"]
            yield {"inputs": content, "targets": label}


class Image2TextProblem(text_problem.TextTargets, ImageProblem):
    """An image to text: samples are {"inputs": image, "targets": str}."""
