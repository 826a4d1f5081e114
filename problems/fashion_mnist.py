"""Fashion-MNIST: small pictures of ten kinds of clothes (arXiv:1708.07747)."""

import gzip
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from t2t_mm import registry
from t2t_mm.data import image_problem
from t2t_mm.features import Split
from t2t_mm.problems import debian

NUM_DEV_IMAGES = 5000  # the last of the 60,000 training images
CHANNELS = 3  # grey as RGB, so that one image net serves all problems

IMAGES_MAGIC = 0x803  # unsigned bytes, three axes
LABELS_MAGIC = 0x801
IMAGES_FILE = "{}-images-idx3-ubyte.gz"
LABELS_FILE = "{}-labels-idx1-ubyte.gz"


@registry.register_problem("mini_fashion")
class MiniFashion(debian.PackageProblem, image_problem.Image2ClassProblem):
    """Picture of a piece of clothing to its kind."""

    image_shape = (28, 28, CHANNELS)
    class_names = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    corpus = debian.packages_corpus("dataset-fashion-mnist")
    package_folder: ClassVar[str] = "usr/share/datasets/fashion-mnist"
    package_files: ClassVar[tuple[str, ...]] = tuple(
        file.format(part)
        for part in ("train", "t10k")
        for file in (IMAGES_FILE, LABELS_FILE)
    )

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, Any]]:
        """Yields the pictures of one split and their classes, in their order."""
        split = Split(dataset_split)
        part = "t10k" if split == Split.TEST else "train"
        images, labels = read_part(self.require_corpus_path(), part)
        rows = {
            Split.TRAIN: slice(None, -NUM_DEV_IMAGES),
            Split.EVAL: slice(-NUM_DEV_IMAGES, None),
            Split.TEST: slice(None),
        }[split]
        for image, label in zip(images[rows], labels[rows], strict=True):
            inputs = np.repeat(image[:, :, np.newaxis], CHANNELS, axis=2)
            yield {"inputs": inputs, "targets": int(label)}


def read_part(folder: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads the images and labels of "train" or "t10k".

    Returns:
      `[count, height, width]` and `[count]`, both uint8.

    Raises:
      ValueError: if a file is damaged, or there are not as many labels as images.
    """
    images = read_idx(os.path.join(folder, IMAGES_FILE.format(part)), IMAGES_MAGIC)
    labels = read_idx(os.path.join(folder, LABELS_FILE.format(part)), LABELS_MAGIC)
    if len(images) != len(labels):
        raise ValueError(
            f"'{folder}' must have a label for every image of '{part}'; it has "
            f"{len(images)} images and {len(labels)} labels."
        )
    return images, labels


def read_idx(path: str, magic: int) -> np.ndarray:
    """Reads a compressed idx file of unsigned bytes.

    Args:
      path: the file.
      magic: the number it must begin with; its last byte is the number of axes.

    Raises:
      ValueError: if it is not such a file, or is cut off.
    """
    try:
        with gzip.open(path) as file:
            content = file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(path, f"it cannot be uncompressed ({error})") from None
    header = struct.Struct(f">{1 + (magic & 0xFF)}I")
    if len(content) < header.size:
        raise _damaged(path, f"it has {len(content)} bytes, less than its header")
    found_magic, *shape = header.unpack_from(content)
    if found_magic != magic:
        raise _damaged(path, f"it begins with {found_magic:#x} instead of {magic:#x}")
    values = np.frombuffer(content, np.uint8, offset=header.size)
    if values.size != np.prod(shape):
        raise _damaged(path, f"it has {values.size} values for the shape {shape}")
    return values.reshape(shape)


def _damaged(path: str, reason: str) -> ValueError:
    return ValueError(
        f"'{path}' must be a whole idx file: {reason}. Unpack its package again."
    )
