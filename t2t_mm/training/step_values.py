"""What goes into a step, and what comes out of it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

Features = Mapping[str, tf.Tensor]


class Draw(NamedTuple):
    """A problem's part of a step.

    Attributes:
      problem: its name.
      batches: from `Model.prepare`, at least one.
      loss_weight: the gradient is of the mean loss times this.
    """

    problem: str
    batches: Sequence[Features]
    loss_weight: float = 1.0


class BatchOutput(NamedTuple):
    """What batches of one problem gave, each `[]` float32.

    Attributes:
      loss: mean loss per target.
      extra_loss: balance losses, weighted.
      targets: number of targets that the loss is the mean of.
      examples: number of examples.
      drop_rate: share of the choices of experts for which there was no room.
    """

    loss: tf.Tensor
    extra_loss: tf.Tensor
    targets: tf.Tensor
    examples: tf.Tensor
    drop_rate: tf.Tensor


class UpdateOutput(NamedTuple):
    """What became of the gradient of a step.

    Attributes:
      gradient_norm: before clipping, `[]` float32.
      applied: whether all of it was finite, `[]` bool; else nothing was changed.
      module_norms: of each of `Updates.modules`, before clipping, `[modules]` float32.
    """

    gradient_norm: tf.Tensor
    applied: tf.Tensor
    module_norms: tf.Tensor


class StepOutput(NamedTuple):
    """What a problem gave in a step.

    Attributes:
      batch: losses and counts.
      update: of the step, the same for all its problems.
    """

    batch: BatchOutput
    update: UpdateOutput
