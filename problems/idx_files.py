"""Pictures in idx files, as MNIST has them: four files, compressed or not."""

import gzip
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from t2t_mm.features import Split
from t2t_mm.problems import tfds_images

NUM_DEV_IMAGES = 5000  # the last of the 60,000 training images
CHANNELS = 3  # grey as RGB, so that one image net serves all problems

IMAGES_MAGIC = 0x803  # unsigned bytes, three axes
LABELS_MAGIC = 0x801
IMAGES_FILE = "{}-images-idx3-ubyte.gz"
LABELS_FILE = "{}-labels-idx1-ubyte.gz"
FILES = tuple(
    file.format(part)
    for part in ("train", "t10k")
    for file in (IMAGES_FILE, LABELS_FILE)
)

_GZIP_MAGIC = b"\x1f\x8b"


def samples(folder: str, split: Split) -> Iterator[dict[str, Any]]:
    """Yields the pictures of one split and their classes, in their order.

    Raises:
      FileNotFoundError: if one of the files is missing.
      ValueError: if a file is damaged, or there are not as many labels as images.
    """
    images, labels = read_part(folder, "t10k" if split == Split.TEST else "train")
    rows = tfds_images.rows_of(split, NUM_DEV_IMAGES)
    for image, label in zip(images[rows], labels[rows], strict=True):
        inputs = np.repeat(image[:, :, np.newaxis], CHANNELS, axis=2)
        yield {"inputs": inputs, "targets": int(label)}


def read_part(folder: str, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads the images and labels of "train" or "t10k".

    Returns:
      `[count, height, width]` and `[count]`, both uint8.

    Raises:
      FileNotFoundError: if one of the files is missing.
      ValueError: if a file is damaged, or there are not as many labels as images.
    """
    images = read_idx(_find(folder, IMAGES_FILE.format(part)), IMAGES_MAGIC)
    labels = read_idx(_find(folder, LABELS_FILE.format(part)), LABELS_MAGIC)
    if len(images) != len(labels):
        raise ValueError(
            f"'{folder}' must have a label for every image of '{part}'; it has "
            f"{len(images)} images and {len(labels)} labels."
        )
    return images, labels


def _find(folder: str, name: str) -> str:
    """Returns the path of a file, which may be uncompressed or spelt with a dot."""
    plain = name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")  # as some programs unpack it
    for candidate in (name, plain, dotted, f"{dotted}.gz"):
        if os.path.exists(path := os.path.join(folder, candidate)):
            return path
    raise FileNotFoundError(f"There is no '{name}' or '{plain}' in '{folder}'.")


def read_idx(path: str, magic: int) -> np.ndarray:
    """Reads an idx file of unsigned bytes, compressed or not.

    Args:
      path: the file.
      magic: the number it must begin with; its last byte is the number of axes.

    Raises:
      ValueError: if it is not such a file, or is cut off.
    """
    with open(path, "rb") as file:
        content = file.read()
    if content.startswith(_GZIP_MAGIC) or path.endswith(".gz"):
        try:
            content = gzip.decompress(content)
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
        f"'{path}' must be a whole idx file: {reason}. Unpack or fetch it again."
    )
