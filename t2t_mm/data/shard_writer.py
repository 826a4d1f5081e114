"""Writing the shards of a split, shuffled, with bounded memory."""

import array
import os
from collections.abc import Iterable

import google_crc32c
import numpy as np

from t2t_mm.data import manifest as manifests
from t2t_mm.data import records, shuffling, tfrecord
from t2t_mm.features import Split

_FIELDS_PER_RECORD = 3  # size, inputs_length, targets_length


class SplitWriter:
    """Takes the records of one split in any order and leaves shuffled shards.

    Records are dealt round-robin over the shards as they come; `finish` then shuffles
    one shard at a time, so that memory holds the largest shard and no more.
    """

    def __init__(
        self, problem_name: str, split: Split, *, num_shards: int, folder: str
    ) -> None:
        """Opens a file per shard.

        Args:
          problem_name: name of the problem.
          split: which split it is.
          num_shards: number of files.
          folder: where to write; the files keep their names when moved elsewhere.
        """
        self._problem_name = problem_name
        self._split = split
        self._folder = folder
        self._names = records.shard_names(problem_name, split, num_shards)
        self._unshuffled = [
            open(self._path(name) + ".raw", "wb") for name in self._names
        ]
        self._fields = [array.array("I") for _ in self._names]
        self.count = 0

    @property
    def num_shards(self) -> int:
        """Number of files."""
        return len(self._names)

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def add(self, payload: bytes, inputs_length: int, targets_length: int) -> None:
        """Takes one record."""
        shard = self.count % len(self._names)
        self._unshuffled[shard].write(payload)
        self._fields[shard].extend((len(payload), inputs_length, targets_length))
        self.count += 1

    def close(self) -> None:
        """Closes the files; needed only if `finish` is not called."""
        for file in self._unshuffled:
            file.close()

    def finish(self, seed: int) -> manifests.SplitFiles:
        """Writes the shuffled shards and their index.

        Args:
          seed: decides the order.

        Returns:
          What was written.
        """
        self.close()
        files, rows = [], []
        for shard in range(len(self._names)):
            file, index = self._shuffle(shard, seed)
            files.append(file)
            rows.append(index)
        return manifests.SplitFiles(
            shards=tuple(files), index=self._write_index(np.concatenate(rows))
        )

    def _shuffle(self, shard: int, seed: int) -> tuple[manifests.File, np.ndarray]:
        name = self._names[shard]
        raw_path = self._path(name) + ".raw"
        with open(raw_path, "rb") as raw_file:
            raw = raw_file.read()
        os.remove(raw_path)
        fields = np.asarray(self._fields[shard], np.int64)
        fields = fields.reshape(-1, _FIELDS_PER_RECORD)
        order = shuffling.permutation(len(fields), seed, name)
        starts = np.cumsum(fields[:, 0]) - fields[:, 0]
        payloads = (
            raw[start : start + size]
            for start, size in zip(starts[order], fields[order, 0], strict=True)
        )
        crc32c, size = _write_frames(self._path(name), payloads)
        file = manifests.File(file=name, bytes=size, crc32c=crc32c, count=len(fields))
        return file, _index_rows(shard, fields[order])

    def _write_index(self, index: np.ndarray) -> manifests.File:
        name = records.index_name(self._problem_name, self._split)
        np.save(self._path(name), index)
        return manifests.File(
            file=name,
            bytes=os.path.getsize(self._path(name)),
            crc32c=manifests.file_crc32c(self._path(name)),
            count=len(index),
        )


def _write_frames(path: str, payloads: Iterable[bytes]) -> tuple[int, int]:
    """Writes a TFRecord file and returns its CRC-32C and its size in bytes."""
    crc32c, size = 0, 0
    with open(path, "wb") as file:
        for payload in payloads:
            framed = tfrecord.frame(payload)
            file.write(framed)
            crc32c = google_crc32c.extend(crc32c, framed)
            size += len(framed)
    return crc32c, size


def _index_rows(shard: int, fields: np.ndarray) -> np.ndarray:
    index = np.zeros(len(fields), records.INDEX_DTYPE)
    framed_sizes = tfrecord.framed_bytes(fields[:, 0])
    index["shard"] = shard
    index["offset"] = np.cumsum(framed_sizes) - framed_sizes
    index["size"], index["inputs_length"], index["targets_length"] = fields.T
    return index
