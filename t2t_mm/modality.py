"""Base class of modalities: nets between raw data and the space of the body."""

import abc
from collections.abc import Collection
from typing import ClassVar, NamedTuple

import tensorflow as tf

from t2t_mm import hparam
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import randomness

INPUTS, TARGETS = "inputs", "targets"


class Embedded(NamedTuple):
    """A sequence in the space of the body.

    Attributes:
      values: `[batch, length, hidden_size]`; images are flattened row by row.
      mask: `[batch, length]` bool, True where there is data.
      grid: height and width, with `height * width == length`, if the sequence is a
        flattened image or spectrogram; None otherwise. A height in time, which batches
        pad differently, is a `[]` int32 tensor; that of an image is an int.
    """

    values: tf.Tensor
    mask: tf.Tensor
    grid: tuple[int | tf.Tensor, int] | None = None


class LossTerms(NamedTuple):
    """A loss as a sum and its weight, so that batches add up exactly.

    Attributes:
      total: `[]` float32, the summed loss.
      weight: `[]` float32, how many targets were summed.
    """

    total: tf.Tensor
    weight: tf.Tensor


class Modality(tf.Module, abc.ABC):
    """Converts one kind of data to and from the space of the body.

    A subclass defines the methods of the roles that it supports: `bottom` for inputs;
    `targets_bottom` (if autoregressive) and `top` for targets.

    Attributes:
      supported_roles: "inputs", "targets" or both.
      autoregressive: whether targets of this kind are produced position by position;
        False for class labels, which are read off the encoded inputs.
    """

    supported_roles: ClassVar[tuple[str, ...]] = (INPUTS, TARGETS)
    autoregressive: ClassVar[bool] = True

    def __init__(
        self,
        spec: FeatureSpec,
        hparams: hparam.HParams,
        roles: Collection[str],
        *,
        name: str,
    ) -> None:
        """Remembers the arguments and checks the roles.

        Args:
          spec: the feature; features with equal `key` share one instance.
          hparams: sizes.
          roles: how the problems of the model use it; variables of other roles are
            not made.
          name: scope of the variables.

        Raises:
          ValueError: if a role is not supported.
        """
        super().__init__(name=name)
        for role in roles:
            if role not in self.supported_roles:
                raise ValueError(
                    f"Modality '{spec.modality}' cannot be used for {role}, only for "
                    f"{' and '.join(self.supported_roles)}."
                )
        self.spec = spec
        self.hparams = hparams
        self.roles = frozenset(roles)

    @classmethod
    def key(cls, spec: FeatureSpec) -> str:
        """Returns the name under which features share an instance."""
        parts = (spec.modality, spec.vocabulary, spec.vocab_size)
        return "_".join(str(part) for part in parts if part is not None)

    def bottom(
        self,
        inputs: tf.Tensor,
        lengths: tf.Tensor,
        rng: randomness.RandomStream | None = None,
    ) -> Embedded:
        """Embeds a batch of raw inputs.

        Args:
          inputs: `[batch, ...]`, as the pipeline pads them.
          lengths: `[batch]` int32, how much of the first axis of each is data.
          rng: None outside training.
        """
        raise ValueError(f"Modality '{self.spec.modality}' has no inputs.")

    def targets_bottom(self, targets: tf.Tensor) -> tf.Tensor:
        """Embeds target ids `[batch, length]` as `[batch, length, hidden_size]`."""
        raise ValueError(f"Modality '{self.spec.modality}' is not autoregressive.")

    def top(self, body_output: Embedded) -> tf.Tensor:
        """Maps the body's output to float32 logits `[batch, length, vocab_size]`."""
        raise ValueError(f"Modality '{self.spec.modality}' has no targets.")


def smoothed_cross_entropy(
    logits: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor, label_smoothing: float
) -> LossTerms:
    """Returns the cross-entropy with soft targets, less the entropy of those.

    The true id has probability 1 - `label_smoothing`, the others share the rest, as in
    Tensor2Tensor. Subtracting the entropy makes 0 the least possible loss.

    Args:
      logits: `[batch, length, vocab_size]` float32.
      targets: `[batch, length]` int32.
      mask: `[batch, length]` bool, True for targets that count.
      label_smoothing: probability mass spread over the wrong ids; 0 in evaluation.
    """
    vocab_size = logits.shape[-1]
    log_probabilities = tf.nn.log_softmax(logits)
    of_target = tf.gather(log_probabilities, targets, batch_dims=2)
    if label_smoothing == 0.0:
        losses = -of_target
    else:
        confidence = 1.0 - label_smoothing
        low = label_smoothing / (vocab_size - 1)
        of_others = tf.reduce_sum(log_probabilities, -1) - of_target
        entropy = -(
            confidence * tf.math.log(confidence)
            + (vocab_size - 1) * low * tf.math.log(low + 1e-20)
        )
        losses = -(confidence * of_target + low * of_others) - entropy
    weights = tf.cast(mask, tf.float32)
    return LossTerms(tf.reduce_sum(losses * weights), tf.reduce_sum(weights))
