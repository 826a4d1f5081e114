"""First pass of generation: samples in their order -> encoded chunks of records.

A chunk is what a process works on at a time. It becomes one file of framed records,
sorted by the random keys that decide the order of all data, and is found under its
name either whole or not at all. So a generation that is interrupted goes on where it
was: chunks that are there need not be encoded again.
"""

import collections
import dataclasses
import itertools
import os
import pickle
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from t2t_mm import problem as problems
from t2t_mm.data import manifest as manifests
from t2t_mm.data import rejections, shuffling, tfrecord
from t2t_mm.data.options import GenerationOptions
from t2t_mm.features import Split

MAX_SAMPLES = 2048
MAX_BYTES = 8 << 20
BYTES_OF_A_FILE = 64 << 10  # what a file may have that is yet to be read
_RESULT = ".result"  # ending of the file that makes a chunk whole
_SPLIT_NUMBERS = {split: number for number, split in enumerate(Split)}

# One row per record, sorted by split and key; `offset` and `size` are those of the
# framed record in the file of the chunk, in bytes.
ROW_DTYPE = np.dtype(
    [
        ("split", "<u1"),
        ("key", "<u8"),
        ("offset", "<u8"),
        ("size", "<u4"),
        ("inputs_length", "<u4"),
        ("targets_length", "<u4"),
    ]
)


class Stream(NamedTuple):
    """Samples that are generated one after another.

    Attributes:
      name: a file name; the keys of the records depend on it.
      label: what the stream is part of, in messages: a split, or all splits.
      split: which split is asked for.
      part: which of `Problem.sample_parts`.
      dealt_to: the splits to which the samples are dealt in turn; often one.
    """

    name: str
    label: str
    split: Split
    part: str
    dealt_to: tuple[Split, ...]


class Chunk(NamedTuple):
    """Some samples that follow each other.

    Attributes:
      stream: where they come from.
      start: number of the first sample in the stream.
      samples: the samples, and `Rejected` in the place of some.
    """

    stream: Stream
    start: int
    samples: list[Any]


def streams_of(
    problem: problems.Problem, data_dir: str, tmp_dir: str
) -> dict[str, list[Stream]]:
    """Returns the streams of a problem by label, in their order."""
    streams: dict[str, list[Stream]] = {}
    for label, (split, dealt_to) in _labels(problem).items():
        parts = problem.sample_parts(data_dir, tmp_dir, split)
        streams[label] = [
            Stream(f"{label}-{number:05d}", label, split, part, dealt_to)
            for number, part in enumerate(parts)
        ]
    return streams


def _labels(problem: problems.Problem) -> dict[str, tuple[Split, tuple[Split, ...]]]:
    """Returns the split to ask for and the splits to deal to, by label."""
    parts = problem.dataset_splits
    if problem.is_generate_per_split:
        splits = [Split(part["split"]) for part in parts]
        return {str(split): (split, (split,)) for split in splits}
    # Small splits first: they get some of few samples.
    by_size = sorted(parts, key=lambda part: part["shards"])
    dealt_to = [Split(part["split"]) for part in by_size for _ in range(part["shards"])]
    return {"all": (Split.TRAIN, tuple(dealt_to))}


def cut(samples: Iterable[Any], stream: Stream) -> Iterator[Chunk]:
    """Cuts a stream of samples into chunks of bounded size."""
    start, collected, size = 0, list[Any](), 0
    for sample in samples:
        collected.append(sample)
        size += _size(sample)
        if len(collected) == MAX_SAMPLES or size >= MAX_BYTES:
            yield Chunk(stream, start, collected)
            start += len(collected)
            collected, size = [], 0
    if collected:
        yield Chunk(stream, start, collected)


def _size(sample: Any) -> int:
    """Returns about how many bytes a sample has, with what it stands for."""
    if isinstance(sample, Mapping):
        return sum(map(_size, sample.values()))
    if isinstance(sample, str | bytes):
        return len(sample)
    if isinstance(sample, np.ndarray):
        return sample.nbytes
    is_plain = sample is None or isinstance(
        sample, bool | int | float | np.generic | problems.Rejected
    )
    return 0 if is_plain else BYTES_OF_A_FILE


class Result(NamedTuple):
    """What some chunks became.

    Attributes:
      counts: number of records by split.
      rejections: what made no record.
    """

    counts: collections.Counter[Split]
    rejections: rejections.Rejections

    def update(self, other: "Result") -> None:
        """Adds the counts of `other`."""
        self.counts.update(other.counts)
        self.rejections.update(other.rejections)


def empty_result() -> Result:
    """Returns the result of nothing."""
    return Result(collections.Counter(), rejections.Rejections())


@dataclasses.dataclass(frozen=True, kw_only=True)
class Encoder:
    """Generates and encodes the samples of one problem, in any process.

    Attributes:
      problem: the problem, which knows its corpus.
      data_dir: folder of the vocabulary.
      tmp_dir: folder for downloads.
      folder: where the chunks go.
      options: seed and limits.
    """

    problem: problems.Problem
    data_dir: str
    tmp_dir: str
    folder: str
    options: GenerationOptions

    def chunks(self, stream: Stream, max_samples: int | None = None) -> Iterator[Chunk]:
        """Generates the samples of a stream, all or the first `max_samples`."""
        self.options.seed_generators(self.problem, stream.name)
        samples = self.problem.generate_part(
            self.data_dir, self.tmp_dir, stream.split, stream.part
        )
        return cut(itertools.islice(samples, max_samples), stream)

    def chunks_of(self, streams: Iterable[Stream]) -> Iterator[Chunk]:
        """Generates streams one after the other, up to `max_cases` samples in all."""
        remaining = self.options.max_cases or None
        for stream in streams:
            for chunk in self.chunks(stream, remaining):
                remaining = remaining and remaining - len(chunk.samples)
                yield chunk
            if remaining == 0:
                return

    def encode_stream(self, stream: Stream) -> Result:
        """Generates and encodes a whole stream."""
        result = empty_result()
        for chunk in self.chunks(stream):
            result.update(self.encode(chunk))
        return result

    def encode(self, chunk: Chunk) -> Result:
        """Writes a chunk, unless it is there, and returns what is in it."""
        path = os.path.join(self.folder, f"{chunk.stream.name}-{chunk.start:012d}")
        if not os.path.exists(path + _RESULT):
            rows, framed, rejected = self._frame_all(chunk)
            counts = np.bincount(rows["split"], minlength=len(Split)).tolist()
            by_split = zip(Split, counts, strict=True)
            _write(path, rows, framed)
            # Comes last: with it, the chunk is there.
            result = Result(collections.Counter(dict(by_split)), rejected)
            manifests.write_atomically(path + _RESULT, pickle.dumps(result))
        with open(path + _RESULT, "rb") as file:
            return pickle.load(file)

    def _frame_all(
        self, chunk: Chunk
    ) -> tuple[np.ndarray, list[bytes], rejections.Rejections]:
        rejected = rejections.Rejections(num_samples=len(chunk.samples))
        fields, framed = [], []
        for row, content in self.frames(chunk):
            if isinstance(content, problems.Rejected):
                rejected.add(content)
            else:
                fields.append(row)
                framed.append(content)
        rows = np.array(fields, ROW_DTYPE)
        order = np.lexsort((rows["key"], rows["split"]))  # by split, then by key
        rows = rows[order]
        rows["offset"] = np.cumsum(rows["size"], dtype=np.uint64) - rows["size"]
        return rows, [framed[row] for row in order], rejected

    def frames(
        self, chunk: Chunk
    ) -> Iterator[tuple[tuple[int, ...], bytes | problems.Rejected]]:
        """Yields the row, without its offset, and the framed record of each sample."""
        stream, count = chunk.stream, len(chunk.samples)
        numbers = range(chunk.start, chunk.start + count)
        keys = shuffling.sort_keys(
            chunk.start, count, self.options.random_seed, self.problem.name, stream.name
        )
        self.problem.start_encoding(self.data_dir)
        for number, key, sample in zip(numbers, keys, chunk.samples, strict=True):
            split = stream.dealt_to[number % len(stream.dealt_to)]
            content, lengths = self._frame(sample, f"sample {number} of {stream.label}")
            size = 0 if isinstance(content, problems.Rejected) else len(content)
            yield (_SPLIT_NUMBERS[split], int(key), 0, size, *lengths), content

    def _frame(
        self, sample: Any, name: str
    ) -> tuple[bytes | problems.Rejected, tuple[int, int]]:
        """Returns a framed record and its lengths of inputs and targets."""
        if isinstance(sample, problems.Rejected):
            return sample, (0, 0)
        try:
            record = self.problem.encode(sample, self.data_dir)
            _check_types(record, self.problem.record_types)
            payload = tfrecord.encode_example(record)
        except (KeyError, ValueError, OSError) as error:
            reason = str(error)
            if isinstance(error, KeyError):
                reason = f"there is no {error} among {sorted(sample)}"
            name = sample.get("name", name)
            return problems.Rejected(name=name, reason=reason), (0, 0)
        return tfrecord.frame(payload), self.problem.record_lengths(record)


def _check_types(record: problems.Record, record_types: Mapping[str, str]) -> None:
    for name, values in record.items():
        found = tfrecord.value_type(name, values)
        expected = record_types.get(name, found)
        if found != expected:
            raise ValueError(
                f"`record_types` says that '{name}' is {expected}; the record has "
                f"{found}, as {type(values[0]).__name__}."
            )


def _write(path: str, rows: np.ndarray, framed: list[bytes]) -> None:
    with open(path + ".records", "wb") as file:
        file.writelines(framed)
    with open(path + ".rows.npy", "wb") as file:
        np.save(file, rows)


class ChunkFile:
    """The records of one chunk that go into one shard, read in ranges of their keys.

    Keeps their rows and no file open: a large corpus has more chunks than a process may
    have open files.
    """

    def __init__(self, path: str, split: Split, low: int, high: int) -> None:
        """Reads the rows of the records of a shard.

        Args:
          path: the chunk's name without endings.
          split: whose records.
          low: the least key.
          high: where the keys end, without it.
        """
        self._path = path + ".records"
        rows = np.load(path + ".rows.npy", mmap_mode="r")
        starts = np.searchsorted(rows["split"], np.arange(len(Split) + 1))
        begin, end = dict(zip(Split, itertools.pairwise(starts), strict=True))[split]
        # A copy, or the file would stay open.
        self._rows = np.array(_between(rows[begin:end], low, high))

    def rows(self, low: int, high: int) -> np.ndarray:
        """Returns the rows with keys from `low` up to and without `high`."""
        return _between(self._rows, low, high)

    def read(self, rows: np.ndarray) -> bytes:
        """Returns the framed records of rows that follow each other."""
        size = int(rows["size"].sum(dtype=np.int64))
        with open(self._path, "rb") as file:
            return os.pread(file.fileno(), size, int(rows["offset"][0]))


def _between(rows: np.ndarray, low: int, high: int) -> np.ndarray:
    first = np.searchsorted(rows["key"], np.uint64(low), side="left")
    last = np.searchsorted(rows["key"], np.uint64(high - 1), side="right")
    return rows[first:last]


def chunk_paths(folder: str) -> list[str]:
    """Returns the chunks in a folder in their order, without endings."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(_RESULT))
    return [os.path.join(folder, name.removesuffix(_RESULT)) for name in names]
