"""Base class of modalities: nets between raw data and the space of the body."""

import abc
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import ClassVar, NamedTuple

import tensorflow as tf

from t2t_mm import hparam
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import custom_gradient, randomness

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


# Maps outputs, targets and mask, as `Modality.loss` takes them, to a sum and a weight.
Metric = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], LossTerms]


class Modality(tf.Module, abc.ABC):
    """Converts one kind of data to and from the space of the body.

    A subclass defines the methods of the roles that it supports: `bottom` for inputs;
    `targets_bottom` (if autoregressive) and `top` for targets. Targets that are not ids
    need a `loss` and a `predict` too.

    Attributes:
      supported_roles: "inputs", "targets" or both.
      autoregressive: whether targets of this kind are produced position by position;
        False for class labels, which are read off the encoded inputs.
      metrics: metrics of these targets by name; a problem names those that it wants,
        of these and of the ones for ids in `training/metrics.py`.
      id_axes: axis of the ids or classes in every variable that has one, by the
        variable's name in the modality's scope. A warm start with another vocabulary
        goes by it.
    """

    supported_roles: ClassVar[tuple[str, ...]] = (INPUTS, TARGETS)
    autoregressive: ClassVar[bool] = True
    metrics: ClassVar[Mapping[str, Metric]] = {}
    id_axes: ClassVar[Mapping[str, int]] = {}

    def __init__(
        self,
        spec: FeatureSpec,
        hparams: hparam.HParams,
        roles: Collection[str],
        *,
        name: str,
    ) -> None:
        """Remembers the arguments and checks that the roles can be played.

        Args:
          spec: the feature; features with equal `key` share one instance.
          hparams: sizes.
          roles: how the problems of the model use it; variables of other roles are
            not made.
          name: scope of the variables.

        Raises:
          ValueError: if a role is not supported, or a method that it needs is not
            defined.
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
        self._check_methods()

    def _check_methods(self) -> None:
        """Raises `ValueError` for a method that a role needs and the class lacks."""
        needed = {"bottom": "for inputs"} if INPUTS in self.roles else {}
        if TARGETS in self.roles:
            needed["top"] = "for targets"
            if self.autoregressive:
                needed["targets_bottom"] = (
                    "for targets, or `autoregressive = False` if they are no sequence"
                )
            self._check_loss()
        for method, use in needed.items():
            if self._lacks(method):
                raise ValueError(
                    f"Modality '{self.spec.modality}' ({type(self).__name__}) must "
                    f"define `{method}` {use}."
                )

    def _check_loss(self) -> None:
        lacking = [method for method in ("loss", "predict") if self._lacks(method)]
        if self.spec.vocab_size is None and lacking:
            raise ValueError(
                f"A feature of modality '{self.spec.modality}' needs a `vocab_size`, "
                f"or {type(self).__name__} must define `{'` and `'.join(lacking)}`: "
                "those of the base class are of ids."
            )

    def _lacks(self, method: str) -> bool:
        return getattr(type(self), method) is getattr(Modality, method)

    @classmethod
    def key(cls, spec: FeatureSpec) -> str:
        """Returns the name under which features share an instance.

        Ids share one by their vocabulary, whatever their shape. Numbers need equal
        shapes too: variables may depend on the sizes.
        """
        parts = (spec.modality, spec.vocabulary, spec.vocab_size)
        names = [str(part) for part in parts if part is not None]
        if spec.vocab_size is None and any(spec.shape):
            names.append("x".join(str(size or "n") for size in spec.shape))
        return "_".join(names)

    @classmethod
    def scope(cls, spec: FeatureSpec) -> str:
        """Returns the name scope of the instance that a feature uses."""
        return re.sub(r"\W", "_", cls.key(spec))

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
        """Maps the body's output to what `loss`, `predict` and metrics read.

        Args:
          body_output: of the decoder, one position per target; if not autoregressive,
            of the encoder.

        Returns:
          float32 logits `[batch, length, vocab_size]`, or whatever the subclass says.
        """
        raise ValueError(f"Modality '{self.spec.modality}' has no targets.")

    def loss(
        self, outputs: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor, *, training: bool
    ) -> LossTerms:
        """Returns the loss of a batch: the cross-entropy of ids.

        Args:
          outputs: from `top`.
          targets: `[batch, length]`, as the pipeline pads them.
          mask: `[batch, length]` bool, True for targets that count.
          training: whether the loss is to be minimised, with `label_smoothing`.
        """
        label_smoothing = self.hparams.label_smoothing if training else 0.0
        return smoothed_cross_entropy(outputs, targets, mask, label_smoothing)

    def predict(self, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the prediction for targets that are not a sequence.

        Args:
          outputs: from `top`.

        Returns:
          The most likely ids, `[batch, length]` int32. A subclass may return anything
          whose rows its problems' `decode_targets` read.
        """
        return tf.argmax(outputs, -1, output_type=tf.int32)


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
    confidence = 1.0 - label_smoothing
    low = label_smoothing / (vocab_size - 1)
    entropy = -(
        confidence * math.log(confidence)
        + (vocab_size - 1) * low * math.log(low + 1e-20)
    )
    # [batch, length, vocab] -> [batch * length, vocab]
    flat = tf.reshape(logits, [-1, vocab_size])
    losses = _cross_entropy(flat, tf.reshape(targets, [-1]), confidence, low) - entropy
    losses = tf.reshape(losses, tf.shape(mask))
    weights = tf.cast(mask, tf.float32)
    return LossTerms(tf.reduce_sum(losses * weights), tf.reduce_sum(weights))


def _cross_entropy(
    logits: tf.Tensor, targets: tf.Tensor, confidence: float, low: float
) -> tf.Tensor:
    """Returns the cross-entropy with soft targets, `[rows]`.

    Its gradient, the difference of the distributions, is written out. That passes over
    the logits, the largest tensor of a step on text, less often than the derived one:
    no faster on an idle machine (5.4 ms for 5.6), twice as fast on a busy one.

    Args:
      logits: `[rows, vocab_size]`.
      targets: `[rows]` int32.
      confidence: probability of the target.
      low: probability of every other id.
    """

    @custom_gradient.custom_gradient
    def cross_entropy(logits: tf.Tensor) -> tuple[tf.Tensor, object]:
        probabilities = tf.nn.softmax(logits)
        # The largest probability is at least 1 / vocab_size: its logarithm is exact.
        normaliser = tf.reduce_max(logits, -1) - tf.math.log(
            tf.reduce_max(probabilities, -1)
        )
        of_target = tf.gather(logits, targets, batch_dims=1)
        losses = normaliser - (confidence - low) * of_target
        if low:
            losses -= low * tf.reduce_sum(logits, -1)

        def gradient(dy: tf.Tensor) -> tf.Tensor:
            difference = (probabilities - low) if low else probabilities
            rows = tf.range(tf.shape(targets)[0])
            return tf.tensor_scatter_nd_sub(
                difference * dy[:, None],
                tf.stack([rows, targets], 1),
                (confidence - low) * dy,
            )

        return losses, gradient

    return cross_entropy(logits)
