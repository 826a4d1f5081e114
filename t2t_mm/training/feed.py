"""What steps are made of: the next batches of every problem."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import tensorflow as tf

from t2t_mm import model as model_lib
from t2t_mm.data.bucketing import Bucket
from t2t_mm.training import batch_shapes, checkpoint, sources
from t2t_mm.training import distribution as distribution_lib
from t2t_mm.training.step_values import Draw, Features


class Kind(NamedTuple):
    """What decides the program of a step of one batch.

    Attributes:
      problem: its name.
      bucket: shape of the part of the batch that a replica has; None if a program takes
        batches of all shapes.
    """

    problem: str
    bucket: Bucket | None


class Feed:
    """Hands out the training batches of every problem, one after the other."""

    def __init__(
        self,
        model: model_lib.Model,
        of_problems: Mapping[str, sources.Source],
        state: checkpoint.RunState,
        distribution: distribution_lib.Distribution,
        *,
        has_static_shapes: bool,
    ) -> None:
        """Begins where a run stands.

        Args:
          model: what is trained.
          of_problems: where batches come from.
          state: of the run; drawing moves it.
          distribution: where batches go.
          has_static_shapes: whether each shape of batches has a program of its own.
        """
        self._model = model
        self._sources = of_problems
        self._state = state
        self._distribution = distribution
        self._has_static_shapes = has_static_shapes
        self._iterators: dict[str, Iterator[Features]] = {}

    def draw(self, problem: str) -> Draw:
        """Draws what a problem has in a step, and counts it."""
        self.open(problem)
        count = self._model.hparams.batches_per_update
        self._state.counts[problem].batches += count
        return self._draw(problem, [self._next_batch(problem) for _ in range(count)])

    def kinds(self) -> list[Kind]:
        """Returns the kinds of all batches that there are."""
        if not self._has_static_shapes:
            return [Kind(problem, None) for problem in self._sources]
        return [
            Kind(problem, bucket)
            for problem, source in self._sources.items()
            for bucket in source.batches.buckets()
        ]

    def count(self, problem: str) -> Kind:
        """Counts the next batch of a problem as drawn; returns its kind.

        Whoever counts it draws it with `draw_in_graph`.
        """
        counts = self._state.counts[problem]
        counts.batches += 1
        if not self._has_static_shapes:
            return Kind(problem, None)
        batches = self._sources[problem].batches
        return Kind(problem, batches.bucket(counts.batches - 1))

    def draw_in_graph(self, kind: Kind) -> Draw:
        """Draws the next batch of an open problem each time that a graph runs.

        Args:
          kind: of the batch.
        """
        batch = self._next_batch(kind.problem)
        if kind.bucket is not None:
            signature = self._model.signature(kind.problem)
            shapes = batch_shapes.in_bucket(signature, kind.bucket)
            batch = self._distribution.run(_with_shapes, batch, shapes)
        return self._draw(kind.problem, [batch])

    def open(self, problem: str) -> None:
        """Begins to read a problem ahead, from where the run stands."""
        if problem not in self._iterators:
            start = self._state.counts[problem].batches
            dataset = self._sources[problem].batches.dataset(start)
            self._iterators[problem] = iter(dataset)

    def _next_batch(self, problem: str) -> Features:
        return self._model.prepare(next(self._iterators[problem]), problem)

    def _draw(self, problem: str, batches: list[Features]) -> Draw:
        return Draw(problem, batches, self._sources[problem].loss_weight)


def _with_shapes(
    features: Features, shapes: Mapping[str, tf.TensorShape]
) -> dict[str, tf.Tensor]:
    return {
        name: tf.ensure_shape(values, shapes[name]) for name, values in features.items()
    }
