"""Records -> padded batches of few static shapes.

Nothing is shuffled through a buffer. Which records make batch number n of training is
computed from (seed, problem, n) and the lengths in the index, and only then are the
records read. So a run that resumes at step 1,000,000 reads its first batch at once,
and it is the batch it would have been.

A batch is a dict of `inputs`, `inputs_length`, `targets` and `targets_length` (see
`features.py`), with concrete shapes.
"""

import dataclasses
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from etils import epy

from t2t_mm import hparam, problem
from t2t_mm.data import bucketing, planning, records, shuffling
from t2t_mm.data.bucketing import Bucket
from t2t_mm.features import Split

with epy.lazy_imports():
    import tensorflow as tf

FILLER = -1  # row of a batch that holds no example
PREFETCHED_BATCHES = 8
PARSED_AT_ONCE = min(16, os.cpu_count() or 1)  # batches
_END_OF_TIME = np.iinfo(np.int64).max

# Index rows of one batch, fillers included, and its shape.
Rows = tuple[np.ndarray, Bucket]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shards:
    """Equal parts of the rows of every batch, and which of them are wanted.

    A batch that does not divide is filled up with rows of zeros whose lengths are 0.

    Attributes:
      count: how many parts there are.
      own: the numbers of those that are wanted, in order. A dataset yields them one
        after the other, and then those of the next batch.
    """

    count: int = 1
    own: tuple[int, ...] = (0,)

    def size_of(self, batch_size: int) -> int:
        """Returns how many rows of a batch are in each shard, fillers included."""
        return -(-batch_size // self.count)

    def rows_of(self, shard: int, rows: np.ndarray) -> np.ndarray:
        """Returns the part of the `rows` of a batch that is in a shard."""
        size = self.size_of(len(rows))
        part = np.full(size, FILLER)
        members = rows[shard * size : (shard + 1) * size]
        part[: len(members)] = members
        return part


ALL = Shards()


class TrainBatches:
    """The endless sequence of training batches of one problem.

    Attributes:
      batches_per_epoch: batches in which each example occurs at most once.
      num_examples: training examples, without those that are too long.
    """

    def __init__(
        self,
        problem: problem.Problem,
        data_dir: str,
        hparams: hparam.HParams,
        seed: int,
    ) -> None:
        """Reads the index of the training split.

        Args:
          problem: the problem.
          data_dir: folder of its records.
          hparams: sizes of batches and limits of lengths.
          seed: decides the order.

        Raises:
          FileNotFoundError: if the records have not been made.
          ValueError: if records are damaged, or all examples are too long.
        """
        self._problem = problem
        self._seed = seed
        self._data_dir = data_dir
        self._reader = records.RecordReader(problem.dataset_name, Split.TRAIN, data_dir)
        self._buckets = planning.training_buckets(problem, data_dir, hparams)
        lengths = _lengths(problem, self._reader)
        self._rows = planning.rows_within_limits(lengths, hparams)
        self._bucket_of = _assign(lengths[self._rows], self._buckets)
        self.num_examples = len(self._rows)
        self.batches_per_epoch = sum(
            count // bucket.batch_size
            for bucket, count in zip(self._buckets, self._counts(), strict=True)
        )
        # Batches are read ahead, so two epochs are in use where one ends.
        self._epochs: dict[int, list[Rows]] = {}
        self._lock = threading.Lock()

    def _counts(self) -> np.ndarray:
        return np.bincount(self._bucket_of, minlength=len(self._buckets))

    def shapes(self) -> list[Bucket]:
        """Returns the shapes that training batches have, from short to long."""
        return [
            bucket
            for bucket, count in zip(self._buckets, self._counts(), strict=True)
            if count
        ]

    def rows(self, number: int) -> Rows:
        """Returns the index rows and the shape of batch `number`."""
        epoch, position = divmod(number, self.batches_per_epoch)
        with self._lock:
            if epoch not in self._epochs:
                while len(self._epochs) > 1:
                    del self._epochs[min(self._epochs)]
                self._epochs[epoch] = self._make_epoch(epoch)
            return self._epochs[epoch][position]

    def _make_epoch(self, epoch: int) -> list[Rows]:
        key = (self._seed, self._problem.name, epoch)
        order = shuffling.permutation(self.num_examples, *key)
        batches: list[Rows] = []
        for number, bucket in enumerate(self._buckets):
            members = self._rows[order[self._bucket_of[order] == number]]
            whole = len(members) // bucket.batch_size * bucket.batch_size
            groups = members[:whole].reshape(-1, bucket.batch_size)
            batches.extend((group, bucket) for group in groups)
        batch_order = shuffling.permutation(len(batches), *key, "batches")
        return [batches[position] for position in batch_order]

    def dataset(self, start: int = 0, shards: Shards = ALL) -> "tf.data.Dataset":
        """Returns the batches from number `start` on, for ever; or parts of them."""
        numbers = tf.data.Dataset.range(start * len(shards.own), _END_OF_TIME)
        endless = tf.data.experimental.assert_cardinality(
            tf.data.experimental.INFINITE_CARDINALITY
        )
        loader = _Loader(self._problem, self._reader, self._data_dir, shards)
        return loader.dataset(numbers, self.rows).apply(endless)

    def example_batch(self, bucket: Bucket) -> dict[str, "tf.Tensor"]:
        """Returns one batch of a shape, to try whether a step fits into memory."""
        number = self._buckets.index(bucket)
        rows = self._rows[self._bucket_of == number][: bucket.batch_size]
        loader = _Loader(self._problem, self._reader, self._data_dir)
        return loader.batch(rows, bucket)


def eval_dataset(
    problem: problem.Problem,
    split: Split,
    data_dir: str,
    hparams: hparam.HParams,
    max_batches: int | None = None,
    shards: Shards = ALL,
) -> "tf.data.Dataset":
    """Returns one pass over a split: every example once, in an order that is fixed.

    The last batch of each shape is filled up with rows of zeros whose lengths are 0.
    Shapes are mixed, so that the first `max_batches` are a fair sample.

    Args:
      problem: the problem.
      split: which split.
      data_dir: folder of its records.
      hparams: sizes of batches.
      max_batches: stop after this many; None for all.
      shards: which parts of the batches to return.

    Raises:
      FileNotFoundError: if the records have not been made.
      ValueError: if records are damaged.
    """
    reader = records.RecordReader(problem.dataset_name, split, data_dir)
    lengths = _lengths(problem, reader)
    buckets = planning.evaluation_buckets(problem, lengths, data_dir, hparams)
    bucket_of = _assign(lengths, buckets)
    batches: list[Rows] = []
    for number, bucket in enumerate(buckets):
        members = np.flatnonzero(bucket_of == number)
        batches.extend((rows, bucket) for rows in _filled(members, bucket.batch_size))
    order = shuffling.permutation(len(batches), problem.name, split)[:max_batches]
    loader = _Loader(problem, reader, data_dir, shards)
    return loader.dataset(
        tf.data.Dataset.range(len(order) * len(shards.own)),
        lambda number: batches[order[number]],
    )


def _lengths(problem: problem.Problem, reader: records.RecordReader) -> np.ndarray:
    return planning.index_lengths(reader.index, planning.length_columns(problem))


def _assign(lengths: np.ndarray, buckets: Sequence[Bucket]) -> np.ndarray:
    shapes = np.array([(b.inputs_length, b.targets_length) for b in buckets])
    return bucketing.assign(lengths, shapes)


def _filled(members: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yields `members` in groups of `batch_size`, the last one with fillers."""
    for start in range(0, len(members), batch_size):
        rows = np.full(batch_size, FILLER)
        group = members[start : start + batch_size]
        rows[: len(group)] = group
        yield rows


class _Loader:
    """Reads, parses and pads batches of one split, or shards of them."""

    def __init__(
        self,
        problem: problem.Problem,
        reader: records.RecordReader,
        data_dir: str,
        shards: Shards = ALL,
    ) -> None:
        self._problem = problem
        self._reader = reader
        self._shards = shards
        self._lengths = _lengths(problem, reader).astype(np.int32)
        self._names = tuple(problem.feature_specs(data_dir))

    def dataset(
        self, numbers: "tf.data.Dataset", rows: Callable[[int], Rows]
    ) -> "tf.data.Dataset":
        """Returns the shards of batches that `rows` locates, for each of `numbers`."""

        def read(number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            batch, position = divmod(int(number), len(self._shards.own))
            return self._read(*rows(batch), self._shards.own[position])

        def load(number: "tf.Tensor") -> tuple["tf.Tensor", ...]:
            dtypes = [tf.string, tf.int32, tf.int32]
            payloads, lengths, padded = tf.numpy_function(read, [number], dtypes)
            payloads.set_shape([None])
            lengths.set_shape([None, len(planning.FEATURES)])
            padded.set_shape([len(planning.FEATURES)])
            return payloads, lengths, padded

        options = tf.data.Options()
        options.deterministic = True
        # With it, an iterator that goes waits for a thread that sleeps up to a minute.
        options.autotune.enabled = False
        return (
            numbers.map(load)
            .map(self._parse, num_parallel_calls=PARSED_AT_ONCE)
            .prefetch(PREFETCHED_BATCHES)
            .with_options(options)
        )

    def batch(self, rows: np.ndarray, bucket: Bucket) -> dict[str, "tf.Tensor"]:
        """Returns one batch."""
        payloads, lengths, padded = self._read(rows, bucket, 0)
        return self._parse(
            tf.constant(payloads), tf.constant(lengths), tf.constant(padded)
        )

    def _read(
        self, rows: np.ndarray, bucket: Bucket, shard: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # A filler reads the first record of its batch and is zeroed after decoding.
        source_of_fillers = rows[0]
        rows = self._shards.rows_of(shard, rows)
        sources = np.where(rows == FILLER, source_of_fillers, rows)
        payloads = np.array([self._reader.read(row) for row in sources], object)
        lengths = np.where((rows == FILLER)[:, np.newaxis], 0, self._lengths[sources])
        padded = np.array(
            [bucket.padded_lengths[n] for n in planning.FEATURES], np.int32
        )
        return payloads, lengths, padded

    def _parse(
        self, payloads: "tf.Tensor", lengths: "tf.Tensor", padded: "tf.Tensor"
    ) -> dict[str, "tf.Tensor"]:
        return parse_batch(
            self._problem,
            names=self._names,
            payloads=payloads,
            lengths=lengths,
            padded_lengths=padded,
        )


def parse_batch(
    problem: problem.Problem,
    *,
    names: Sequence[str],
    payloads: "tf.Tensor",
    lengths: "tf.Tensor",
    padded_lengths: "tf.Tensor",
) -> dict[str, "tf.Tensor"]:
    """Turns the records of a batch into its features.

    Args:
      problem: the problem.
      names: which of "inputs" and "targets" the records have.
      payloads: `[batch]` string.
      lengths: `[batch, 2]` int32, of inputs and targets; 0 for a filler.
      padded_lengths: `[2]` int32, of inputs and targets.

    Returns:
      A batch, see the top of this file.
    """
    parsers: dict[str, Any] = {
        "int64": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
        "float32": tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64),
        "string": tf.io.FixedLenFeature([], tf.string),
    }
    sources = {name: problem.record_features[name] for name in names}
    spec = {name: parsers[problem.record_types[name]] for name in sources.values()}
    parsed = tf.io.parse_example(payloads, spec)
    features = {name: parsed[source] for name, source in sources.items()}
    padded = dict(zip(planning.FEATURES, tf.unstack(padded_lengths), strict=True))
    columns = dict(zip(planning.FEATURES, tf.unstack(lengths, axis=1), strict=True))
    for name in names:
        features[f"{name}_length"] = columns[name]
    features = problem.preprocess(features, padded)
    for name in names:
        features[name] = _zero_fillers(features[name], columns[name])
    return features


def _zero_fillers(values: "tf.Tensor", lengths: "tf.Tensor") -> "tf.Tensor":
    is_example = tf.cast(lengths > 0, values.dtype)
    # [batch] -> [batch, 1, ...], of the rank of `values`
    shape = tf.concat([[-1], tf.ones([tf.rank(values) - 1], tf.int32)], 0)
    return values * tf.reshape(is_example, shape)
