"""Where a run computes: one device, several devices or several machines.

`tf.distribute` does the work; a `Distribution` is the little of it that the loop needs.
Every replica holds all variables and computes an equal share of the rows of a batch.
Sums over replicas are taken before anything is divided or decided, so that replicas
stay equal to the bit, and a batch gives what it would have given one device.
"""

import contextlib
import dataclasses
import functools
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from t2t_mm.data import pipeline
from t2t_mm.data.bucketing import Bucket
from t2t_mm.layers import randomness
from t2t_mm.runs import best_checkpoints
from t2t_mm.training import history
from t2t_mm.training.run_config import RunConfig

# What a collective operation ends in when another worker is gone.
_ERRORS_OF_OTHERS = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnavailableError,
    tf.errors.UnknownError,
)

# What of an output folder says how a run has gone.
_RECORDS = (history.METRICS_FILE, f"{best_checkpoints.FOLDER}/*/*.json")

Dataset = Iterable[Mapping[str, Any]]


class Distribution:
    """A strategy of `tf.distribute`, and how steps and batches go through it.

    Functions that are passed in compute for one replica; whoever calls the methods is
    inside a `tf.function` and sees all replicas at once.

    Attributes:
      strategy: where variables are made.
      num_replicas: how many there are on all machines.
      compiles: whether the strategy compiles whole steps with XLA by itself.
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        """Wraps a strategy; None for one device."""
        self.strategy = strategy or tf.distribute.get_strategy()
        self.num_replicas: int = self.strategy.num_replicas_in_sync
        self.compiles = isinstance(strategy, tf.distribute.TPUStrategy)
        self._resolver = self.strategy.cluster_resolver

    @property
    def worker(self) -> int:
        """Number of this process among those of a run."""
        return self._resolver.task_id or 0 if self.num_workers > 1 else 0

    @property
    def num_workers(self) -> int:
        """How many processes train together."""
        return getattr(self.strategy.extended, "_num_workers", 1)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what a run writes: one of them does."""
        return self.worker == 0

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Makes variables inside the context be there on every replica."""
        if self.strategy is tf.distribute.get_strategy():
            return contextlib.nullcontext()
        return self.strategy.scope()

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Calls a function on every replica, with its part of `args`."""
        return self.strategy.run(function, args)

    def first(self, values: Any) -> Any:
        """Returns the values of a replica of this process, of a nest of all."""
        return tf.nest.map_structure(
            lambda value: self.strategy.experimental_local_results(value)[0], values
        )

    def add_up(self, values: Any) -> Any:
        """Returns a nest of sums over all replicas; for functions that `run` calls."""
        if self.num_replicas == 1:
            return values
        context = tf.distribute.get_replica_context()
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.nest.flatten(values))
        return tf.nest.pack_sequence_as(values, sums)

    def join(self, rows: tf.Tensor) -> tf.Tensor:
        """Joins axis 0 of all replicas; for functions that `run` calls."""
        if self.num_replicas == 1:
            return rows
        return tf.distribute.get_replica_context().all_gather(rows, axis=0)

    def replica_seed(self, seed: tf.Tensor) -> tf.Tensor:
        """Returns a seed of this replica's own; for functions that `run` calls."""
        if self.num_replicas == 1:
            return seed
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        # Layers fold positive numbers into it.
        return tf.random.experimental.stateless_fold_in(
            seed, -1 - replica, alg=randomness.ALGORITHM
        )

    def update(
        self, variable: tf.Variable, function: Callable[..., Any], *args: Any
    ) -> Any:
        """Calls a function that assigns variables, on every replica.

        Args:
          variable: one of those that it assigns.
          function: must do the same on every replica.
          *args: what it takes, from `run` or equal on all replicas.

        Returns:
          What it returned, a nest of tensors.
        """
        if self.num_replicas == 1 or self.compiles:
            return self.first(self.run(function, *args))
        structures = []

        def call(anchor: tf.Variable, *own_args: Any) -> list[tf.Tensor]:
            del anchor
            structures.append(function(*own_args))
            return tf.nest.flatten(structures[-1])

        # Strategies forbid assignments in `run` under a condition, but not in here.
        results = self.strategy.extended.update(variable, call, args=args, group=False)
        return tf.nest.pack_sequence_as(structures[-1], [local[0] for local in results])

    def batches(self, make: Callable[[pipeline.Shards], tf.data.Dataset]) -> Dataset:
        """Returns batches whose rows are dealt out to the replicas.

        Args:
          make: returns the batches of the shards that it is given. Each process calls
            it for those of its own replicas and reads no others.
        """
        if self.num_replicas == 1:
            return _prefetched(make(pipeline.Shards()))

        def make_own(context: tf.distribute.InputContext) -> tf.data.Dataset:
            count = context.num_replicas_in_sync
            size = count // context.num_input_pipelines
            first = context.input_pipeline_id * size
            own = tuple(range(first, first + size))
            return make(pipeline.Shards(count=count, own=own))

        return self.strategy.distribute_datasets_from_function(make_own)

    def signature(self, of_replica: Mapping[str, tf.TensorSpec]) -> dict[str, Any]:
        """Returns the type of a batch from `batches`, given that of a replica's.

        What has no rows is equal on all replicas.
        """
        if self.num_replicas == 1:
            return dict(of_replica)
        rows = {name: spec for name, spec in of_replica.items() if spec.shape.rank}
        empty = tf.data.Dataset.from_generator(lambda: iter(()), output_signature=rows)
        spread = self.strategy.distribute_datasets_from_function(lambda _: empty)
        return {**of_replica, **spread.element_spec}

    @contextlib.contextmanager
    def naming_lost_workers(self) -> Iterator[None]:
        """Says what to do when another worker is lost inside the context.

        An error of this worker's own is logged as what the others will miss it for.

        Raises:
          ConnectionError: if another worker is lost.
        """
        try:
            yield
        except Exception as error:
            if self.num_workers == 1:
                raise
            if isinstance(error, _ERRORS_OF_OTHERS):
                raise ConnectionError(self._lost(error)) from error
            logging.error(
                "Worker %d ends with an error of its own. The other workers will say "
                "that they have lost one; this is why: %s",
                self.worker,
                error,
            )
            raise

    def _lost(self, error: tf.errors.OpError) -> str:
        text = re.sub(r"\{\{.*?\}\} ?", "", error.message)  # names of its functions
        lines = [line for line in text.splitlines() if line]
        reasons = [line for line in lines if line.startswith("Collective ops")]
        first = "" if self.is_chief else ": first that of worker 0, which alone writes"
        return (
            f"Worker {self.worker} has lost another one. Unless that one was killed, "
            f"its log has the cause{first}. Start all workers again with the same "
            "commands: they go on from the newest checkpoint. TensorFlow says: "
            f"{(reasons or lines)[0]}"
        )

    def wait_for_others(self) -> None:
        """Returns when all workers have come here."""
        self.any_worker(False)

    def any_worker(self, flag: bool) -> bool:
        """Returns whether `flag` is true on any worker; all of them must ask."""
        if self.num_workers == 1:
            return flag
        return self._sum_over_workers([float(flag)])[0] > 0.0

    def of_chief(self, values: Sequence[float]) -> list[float]:
        """Returns the chief's values; all workers must ask, for as many."""
        if self.num_workers == 1:
            return list(values)
        # Adding zeros changes no bit. Each replica of the chief adds the value once.
        own = [value if self.is_chief else 0.0 for value in values]
        count = self.num_replicas // self.num_workers
        return [total / count for total in self._sum_over_workers(own)]

    def check_equal(self, what: str, number: int) -> None:
        """Raises `ValueError` unless a number is the same on all workers."""
        if self.num_workers == 1:
            return
        if self._sum_over_workers([number]) != [number * self.num_replicas]:
            raise ValueError(
                f"Workers must start alike, but {what} is {number} on worker "
                f"{self.worker} and not on all others. Give all of them the same "
                "command, and an --output_dir and --data_dir that they share."
            )

    def _sum_over_workers(self, numbers: Sequence[float]) -> list[float]:
        # Float64 holds every step.
        return self._sums(tf.constant(numbers, tf.float64)).numpy().tolist()

    @functools.cached_property
    def _sums(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Adds numbers up over all replicas, each of which takes them as they are."""

        def of_replica(numbers: tf.Tensor) -> tf.Tensor:
            return self.add_up(tf.identity(numbers))  # a copy on its device

        def add_up(numbers: tf.Tensor) -> tf.Tensor:
            return self.first(self.run(of_replica, numbers))

        return tf.function(add_up, autograph=False)

    def own_folder(self, output_dir: str) -> str:
        """Returns where this process keeps a record: `output_dir`, if it is the chief.

        Others get a folder with a copy of the record so far, so that they decide the
        same by it. It is removed when the process ends.
        """
        if self.is_chief:
            return output_dir
        self._scratch = tempfile.TemporaryDirectory(prefix="t2t_worker_")
        for pattern in _RECORDS:
            for name in glob.glob(pattern, root_dir=output_dir):
                copy = os.path.join(self._scratch.name, name)
                os.makedirs(os.path.dirname(copy), exist_ok=True)
                shutil.copyfile(os.path.join(output_dir, name), copy)
        return self._scratch.name


class DealtBatches:
    """Training batches of one problem, dealt out to the replicas."""

    def __init__(
        self, batches: pipeline.TrainBatches, distribution: Distribution
    ) -> None:
        """Remembers the arguments."""
        self._batches = batches
        self._distribution = distribution

    def dataset(self, start: int) -> Dataset:
        """Returns batches from number `start` on, for ever."""
        return self._distribution.batches(
            lambda shards: self._batches.dataset(start, shards)
        )

    def buckets(self) -> list[Bucket]:
        """Returns the shapes of what a replica gets of a batch."""
        return [self._part(bucket) for bucket in self._batches.shapes()]

    def bucket(self, number: int) -> Bucket:
        """Returns the shape of what a replica gets of batch `number`."""
        _, bucket = self._batches.rows(number)
        return self._part(bucket)

    def _part(self, bucket: Bucket) -> Bucket:
        shards = pipeline.Shards(count=self._distribution.num_replicas)
        size = shards.size_of(bucket.batch_size)
        return dataclasses.replace(bucket, batch_size=size)


def choose_compilation(config: RunConfig) -> RunConfig:
    """Decides by the device whether to compile with XLA, if the user does not."""
    if config.jit_compile is not None:
        return config
    jit_compile = bool(tf.config.list_logical_devices("GPU"))
    logging.info(
        "jit_compile | %s, chosen by the device", "on" if jit_compile else "off"
    )
    return dataclasses.replace(config, jit_compile=jit_compile)


def _prefetched(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Copies batches to the GPU, if there is one, while a step runs."""
    if not tf.config.list_logical_devices("GPU"):
        return dataset
    return dataset.apply(tf.data.experimental.prefetch_to_device("/GPU:0"))
