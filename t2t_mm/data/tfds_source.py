"""Samples of a dataset of TensorFlow Datasets."""

from collections.abc import Iterator
from typing import Any


def samples(name: str, split: str, tmp_dir: str) -> Iterator[dict[str, Any]]:
    """Yields the samples of a split in an order that never changes.

    Text is str, an image the bytes of its file, everything else NumPy; "tfds_id" names
    the sample.

    Args:
      name: the dataset, as "wmt14_translate/de-en".
      split: such as "train", or "train[:90%]".
      tmp_dir: where it is downloaded and prepared, unless it is prepared in
        TFDS_DATA_DIR or ~/tensorflow_datasets.

    Raises:
      OSError: if a file cannot be fetched; names the files and where to put them.
      ValueError: if a file has another content than it should.
    """
    raise NotImplementedError
