"""Random access to the records of a split, through its index."""

import collections
import os
import threading
import weakref
from collections.abc import Mapping

import numpy as np

from t2t_mm.data import manifest as manifests
from t2t_mm.data import tfrecord
from t2t_mm.features import Split

# Of one split. A process may often have no more than 1,024 open files, and a run reads
# many problems.
MAX_OPEN_SHARDS = 64

# One row per record. `offset` is where its frame starts in the shard and `size` that of
# the payload, in bytes; the lengths are those of the features in a batch.
INDEX_DTYPE = np.dtype(
    [
        ("shard", "<u4"),
        ("offset", "<u8"),
        ("size", "<u4"),
        ("inputs_length", "<u4"),
        ("targets_length", "<u4"),
    ]
)


def shard_names(problem_name: str, split: Split, num_shards: int) -> list[str]:
    """Returns names such as "wmt_ende-train-00000-of-00010"."""
    return [
        f"{problem_name}-{split}-{shard:05d}-of-{num_shards:05d}"
        for shard in range(num_shards)
    ]


def index_name(problem_name: str, split: Split) -> str:
    """Returns the name of the index of a split."""
    return f"{problem_name}-{split}.index.npy"


def datagen_command(problem_name: str, data_dir: str) -> str:
    """Returns what to type to make the data of a problem."""
    return f"t2t-datagen --problem={problem_name} --data_dir={data_dir}"


class RecordReader:
    """Reads records of one split in any order.

    Attributes:
      index: `[records]` of `INDEX_DTYPE`.
    """

    def __init__(self, problem_name: str, split: Split, data_dir: str) -> None:
        """Opens the split, after checking that all of it is there.

        Raises:
          FileNotFoundError: if it has not been generated, or a file is missing.
          ValueError: if a file does not have the size, or the vocabulary not the
            content, that the manifest says.
        """
        self._remedy = f"Make it again with: {datagen_command(problem_name, data_dir)}"
        files = self._checked_files(problem_name, split, data_dir)
        self.index = np.load(os.path.join(data_dir, files.index.file))
        self._paths = [os.path.join(data_dir, shard.file) for shard in files.shards]
        self._open = collections.OrderedDict[int, int]()  # the latest comes last
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._open)

    def _checked_files(
        self, problem_name: str, split: Split, data_dir: str
    ) -> manifests.SplitFiles:
        manifest = manifests.load(problem_name, data_dir)
        if manifest is None or split not in manifest.splits:
            raise FileNotFoundError(
                f"No records of {problem_name} ({split}) in {data_dir}. Make them "
                f"with: {datagen_command(problem_name, data_dir)}"
            )
        files = manifest.splits[split]
        for file in (*files.shards, files.index):
            if complaint := manifests.size_complaint(file, data_dir):
                missing = complaint.endswith("missing")
                error = FileNotFoundError if missing else ValueError
                raise error(f"In {data_dir} {complaint}. {self._remedy}")
        if complaint := manifests.vocabulary_complaint(manifest, data_dir):
            raise ValueError(f"In {data_dir} {complaint}. {self._remedy}")
        return files

    def read(self, row: int) -> bytes:
        """Returns the payload of the record that row `row` of the index describes.

        Raises:
          ValueError: if a checksum is wrong.
        """
        shard, offset, size, _, _ = self.index[row].item()
        framed_size = tfrecord.framed_bytes(size)
        with self._lock:  # or another thread might close the file
            framed = os.pread(self._descriptor(shard), framed_size, offset)
        try:
            return tfrecord.unframe(framed)
        except ValueError as error:
            raise ValueError(
                f"The record at byte {offset} of '{self._paths[shard]}' is damaged. "
                f"{error} {self._remedy}"
            ) from None

    def _descriptor(self, shard: int) -> int:
        """Returns an open shard; closes the one that was read the longest ago."""
        if shard not in self._open:
            if len(self._open) == MAX_OPEN_SHARDS:
                os.close(self._open.popitem(last=False)[1])
            self._open[shard] = os.open(self._paths[shard], os.O_RDONLY)
        self._open.move_to_end(shard)
        return self._open[shard]


def _close_all(descriptors: Mapping[int, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)
