"""What workers of Apache Beam do in a generation; see `beam_runner.py`.

Importing this needs Apache Beam.
"""

import collections
import dataclasses
import os
import pickle
import shutil
import struct
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.io import filesystems

from t2t_mm import problem as problems
from t2t_mm.data import chunks, records, rejections, shard_writer
from t2t_mm.features import Split

RESULTS = "results"

# What stands before a framed record. Big-endian, so that sorting bytes sorts by key;
# records with equal keys keep the order of their streams and samples.
_HEADER = struct.Struct(">QIQII")  # key, stream, sample, lengths of inputs and targets

# `random` and `numpy.random` belong to the stream that is being generated; a worker
# may have several threads.
_GENERATING = threading.Lock()


class ShardName(NamedTuple):
    """One shard of a split; on its way a plain tuple, which Beam knows how to code.

    Attributes:
      split: the split.
      shard: its number.
      num_shards: how many there are.
    """

    split: str
    shard: int
    num_shards: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker needs to know.

    Attributes:
      encoder: generates and encodes; pickled, as its modules may be the user's.
      vocabulary: content of the files that it finds in its data folder, by name.
      module_path: where the first process finds modules.
      work_dir: where shards and results go.
    """

    encoder: bytes
    vocabulary: Mapping[str, bytes]
    module_path: Sequence[str]
    work_dir: str

    def load_encoder(self) -> chunks.Encoder:
        """Returns the encoder, with a data folder on this machine."""
        sys.path.extend(path for path in self.module_path if path not in sys.path)
        encoder: chunks.Encoder = pickle.loads(self.encoder)
        if _holds(encoder.data_dir, self.vocabulary):
            return encoder
        data_dir = tempfile.mkdtemp(prefix="t2t_datagen")
        for name, content in self.vocabulary.items():
            with open(os.path.join(data_dir, name), "wb") as file:
                file.write(content)
        return dataclasses.replace(encoder, data_dir=data_dir)


def _holds(folder: str, files: Mapping[str, bytes]) -> bool:
    """Returns whether a folder of this machine has files of the same content."""
    for name, content in files.items():
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            return False
        with open(path, "rb") as file:
            if file.read() != content:
                return False
    return True


class _Step(beam.DoFn):
    """Knows the encoder."""

    def __init__(self, job: Job) -> None:
        """Keeps what a worker needs to know."""
        self._job = job

    def setup(self) -> None:
        """Loads the encoder once per worker."""
        self._encoder = self._job.load_encoder()


class Generate(_Step):
    """Streams that are generated one after the other -> their samples in chunks."""

    def process(self, streams: Sequence[chunks.Stream]) -> Iterator[chunks.Chunk]:
        """Yields the chunks."""
        with _GENERATING:
            yield from self._encoder.chunks_of(streams)


class Encode(_Step):
    """A chunk -> its framed records, each with its shard; and what was rejected."""

    def __init__(self, job: Job, stream_numbers: Mapping[str, int]) -> None:
        """Takes the place of each stream in the order of all by its name."""
        super().__init__(job)
        self._stream_numbers = stream_numbers

    def setup(self) -> None:
        """Finds out how many shards there are."""
        super().setup()
        parts = self._encoder.problem.dataset_splits
        self._num_shards = {Split(part["split"]): part["shards"] for part in parts}

    def process(self, chunk: chunks.Chunk) -> Iterator[Any]:
        """Yields `(shard, header and framed record)`, at last the result."""
        rejected = rejections.Rejections(num_samples=len(chunk.samples))
        result = chunks.Result(collections.Counter(), rejected)
        for offset, (row, content) in enumerate(self._encoder.frames(chunk)):
            if isinstance(content, problems.Rejected):
                rejected.add(content)
                continue
            split = list(Split)[row[0]]
            result.counts[split] += 1
            yield self._shard(split, row[1]), self._header(chunk, offset, row) + content
        origin = (chunk.stream.name, chunk.start, chunk.stream.label)
        yield beam.pvalue.TaggedOutput(RESULTS, (*origin, result))

    def _shard(self, split: Split, key: int) -> tuple[str, int, int]:
        num_shards = self._num_shards[split]
        shard = shard_writer.shard_of(np.array([key], np.uint64), num_shards)
        return str(split), int(shard[0]), num_shards  # a `ShardName`

    def _header(self, chunk: chunks.Chunk, offset: int, row: Sequence[int]) -> bytes:
        _, key, _, _, inputs_length, targets_length = row
        stream = self._stream_numbers[chunk.stream.name]
        number = chunk.start + offset
        return _HEADER.pack(key, stream, number, inputs_length, targets_length)


class WriteShard(_Step):
    """All records of a shard -> its file, and beside it the rows of its index."""

    def process(
        self, element: tuple[tuple[str, int, int], Iterable[bytes]]
    ) -> Iterator[Any]:
        """Writes both; yields the name of the shard and its file."""
        name, values = ShardName(*element[0]), element[1]
        rows, framed = _sorted(values)
        problem_name = self._encoder.problem.name
        names = records.shard_names(problem_name, Split(name.split), name.num_shards)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, names[name.shard])
            file = shard_writer.write_records(
                [(rows, framed)], shard=name.shard, path=path
            )
            for written in (path, shard_writer.index_part_path(path)):
                target = os.path.basename(written)
                target = filesystems.FileSystems.join(self._job.work_dir, target)
                _copy_to(written, target)
        yield tuple(name), file


def _sorted(values: Iterable[bytes]) -> tuple[np.ndarray, list[bytes]]:
    """Returns the rows and framed records of a shard in their order."""
    ordered = sorted(value for value in values if value)
    framed = [value[_HEADER.size :] for value in ordered]
    rows = np.zeros(len(ordered), chunks.ROW_DTYPE)
    for row, value in zip(rows, ordered, strict=True):
        key, _, _, row["inputs_length"], row["targets_length"] = _HEADER.unpack_from(
            value
        )
        row["key"] = key
    rows["size"] = [len(content) for content in framed]
    return rows, framed


class Note(beam.DoFn):
    """Everything there is of something -> a file that the first process reads."""

    def __init__(self, path: str) -> None:
        """Takes where to write."""
        self._path = path

    def process(self, everything: Any) -> None:
        """Writes the file."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(pickle.dumps(everything))
            file.flush()
            _copy_to(file.name, self._path)


def _copy_to(path: str, target: str) -> None:
    """Writes a file that is found whole or not at all; another worker may do it too."""
    unfinished = f"{target}.{uuid.uuid4().hex}"
    uncompressed = filesystems.CompressionTypes.UNCOMPRESSED
    with (
        open(path, "rb") as content,
        filesystems.FileSystems.create(
            unfinished, compression_type=uncompressed
        ) as file,
    ):
        shutil.copyfileobj(content, file)
    filesystems.FileSystems.rename([unfinished], [target])
