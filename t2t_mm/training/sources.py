"""What a trainer draws from: the batches of every problem, and their weights."""

import dataclasses
from typing import Protocol

from t2t_mm.data.bucketing import Bucket
from t2t_mm.training import distribution


class Batches(Protocol):
    """Training batches of one problem, at any position."""

    def dataset(self, start: int) -> distribution.Dataset:
        """Returns batches from number `start` on, for ever."""

    def buckets(self) -> list[Bucket]:
        """Returns the shapes of what a replica gets of a batch."""

    def bucket(self, number: int) -> Bucket:
        """Returns the shape of what a replica gets of batch `number`."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A problem to train on.

    Attributes:
      batches: its training batches.
      loss_weight: its loss counts that much.
      rate_factor: of the learning rate in its steps.
    """

    batches: Batches
    loss_weight: float = 1.0
    rate_factor: float = 1.0
