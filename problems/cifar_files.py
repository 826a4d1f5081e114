"""The files of CIFAR, in their version for Python and in the binary one."""

import codecs
import dataclasses
import io
import os
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np

from t2t_mm.data import archives

SIZE = 32
CHANNELS = 3
BINARY = ".bin"  # ends the names of files of the binary version

# What pictures and labels need to come out of a pickle; a pickle may name anything.
_PICKLED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    ("numpy._core.multiarray", "_reconstruct"): np.zeros(0).__reduce__()[0],
    ("_codecs", "encode"): codecs.encode,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files:
    """How the files of a data set are called.

    Attributes:
      train: names of the training files, without `BINARY`.
      test: names of the test files, without `BINARY`.
      folders: names of the unpacked folders.
      archives: names of the archives.
      labels_key: what the labels are called in the version for Python.
      num_label_bytes: how many bytes precede a picture in the binary version; the last
        one is the label.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    folders: tuple[str, ...]
    archives: tuple[str, ...]
    labels_key: str
    num_label_bytes: int


def read(
    path: str, names: Sequence[str], files: Files
) -> tuple[np.ndarray, np.ndarray]:
    """Reads some of the files.

    Args:
      path: an archive, or a folder that has one, unpacked or not.
      names: which files, without `BINARY`.
      files: how files are called.

    Returns:
      uint8 `[count, SIZE, SIZE, CHANNELS]`, and `[count]`.

    Raises:
      FileNotFoundError: if a file is missing.
      ValueError: if a file is damaged.
    """
    contents = _contents(path, names, files)
    parts = []
    for name in names:
        if f"{name}{BINARY}" in contents:
            decoded = _from_binary(contents[f"{name}{BINARY}"], files.num_label_bytes)
        elif name in contents:
            decoded = _from_pickle(contents[name], files.labels_key)
        else:
            wanted = " or ".join((*files.archives, *files.folders))
            raise FileNotFoundError(
                f"There is no '{name}' or '{name}{BINARY}' in '{path}', which must be "
                f"or have {wanted}."
            )
        if decoded is None:
            raise ValueError(
                f"'{name}' in '{path}' must be a file of CIFAR; it is damaged or "
                "another. Fetch and unpack it again."
            )
        parts.append(decoded)
    rows, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    # [count, values] -> [count, channels, height, width] -> channels last
    pictures = rows.reshape(-1, CHANNELS, SIZE, SIZE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pictures), labels


def _contents(path: str, names: Sequence[str], files: Files) -> dict[str, bytes]:
    wanted = {*names, *(f"{name}{BINARY}" for name in names)}
    below = [os.path.join(path, folder) for folder in ("", *files.folders)]
    for folder in below:
        found = sorted(name for name in wanted if _is_file(folder, name))
        if found:
            return {name: _read_file(os.path.join(folder, name)) for name in found}
    in_archives = [path, *(os.path.join(path, name) for name in files.archives)]
    for archive in filter(os.path.isfile, in_archives):
        members = archives.tar_members(archive)
        return {
            os.path.basename(name): content
            for name, content in members
            if os.path.basename(name) in wanted
        }
    return {}


def _is_file(folder: str, name: str) -> bool:
    return os.path.isfile(os.path.join(folder, name))


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _from_binary(content: bytes, num_label_bytes: int) -> Any:
    row = num_label_bytes + CHANNELS * SIZE * SIZE
    if not content or len(content) % row:
        return None
    rows = np.frombuffer(content, np.uint8).reshape(-1, row)
    return rows[:, num_label_bytes:], rows[:, num_label_bytes - 1]


def _from_pickle(content: bytes, labels_key: str) -> Any:
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="bytes").load()
        rows = np.asarray(batch[b"data"], np.uint8)
        labels = np.asarray(batch[labels_key.encode()])
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError):
        return None
    if rows.shape != (len(labels), CHANNELS * SIZE * SIZE):
        return None
    return rows, labels


class _Unpickler(pickle.Unpickler):
    """Makes arrays and plain values, and nothing that a pickle could harm with."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Returns one of `_PICKLED`.

        Raises:
          UnpicklingError: for everything else.
        """
        if (module_name, global_name) not in _PICKLED:
            raise pickle.UnpicklingError(f"It has a {module_name}.{global_name}.")
        return _PICKLED[module_name, global_name]
