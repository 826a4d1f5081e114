"""Metrics of teacher-forced predictions, as sums and weights that add up exactly.

Every metric here is for ids, and sees the true previous targets at each position. None
says how well a model does on its own: decode for that. A modality may bring others.
"""

import difflib
from collections.abc import Mapping, Sequence

import tensorflow as tf

from t2t_mm import modality

_TOP = 5


def accuracy(
    logits: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor
) -> modality.LossTerms:
    """Counts targets whose logit is the highest.

    Args:
      logits: `[batch, length, vocab_size]` float32.
      targets: `[batch, length]` int32.
      mask: `[batch, length]` bool, True for targets that count.
    """
    right = _is_right(logits, targets) & mask
    return modality.LossTerms(_count(right), _count(mask))


def accuracy_top5(
    logits: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor
) -> modality.LossTerms:
    """Counts targets whose logit is among the five highest."""
    top = tf.math.top_k(logits, min(_TOP, logits.shape[-1])).indices
    right = tf.reduce_any(top == targets[..., None], -1) & mask
    return modality.LossTerms(_count(right), _count(mask))


def accuracy_per_sequence(
    logits: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor
) -> modality.LossTerms:
    """Counts rows of which every target is right; rows without targets do not count."""
    is_real = tf.reduce_any(mask, 1)
    right = tf.reduce_all(_is_right(logits, targets) | ~mask, 1) & is_real
    return modality.LossTerms(_count(right), _count(is_real))


def neg_log_perplexity(
    logits: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor
) -> modality.LossTerms:
    """Sums the log-probabilities of the targets, in nats: higher is better."""
    loss = modality.smoothed_cross_entropy(logits, targets, mask, 0.0)
    return modality.LossTerms(-loss.total, loss.weight)


def _is_right(logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    return tf.argmax(logits, -1, output_type=targets.dtype) == targets


def _count(mask: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(mask, tf.float32))


METRICS: dict[str, modality.Metric] = {
    "accuracy": accuracy,
    "accuracy_per_sequence": accuracy_per_sequence,
    "accuracy_top5": accuracy_top5,
    "neg_log_perplexity": neg_log_perplexity,
}


def select(
    names: Sequence[str], targets: modality.Modality
) -> dict[str, modality.Metric]:
    """Returns metrics by name, of those here and those that a modality brings.

    Args:
      names: as a problem wants them.
      targets: modality of the problem's targets; its own metrics come first. Those here
        are for ids: targets without a `vocab_size` do not have them.

    Raises:
      LookupError: for a metric that does not exist; names the closest.
    """
    of_ids = METRICS if targets.spec.vocab_size is not None else {}
    known = {**of_ids, **targets.metrics}
    for name in names:
        if name not in known:
            raise LookupError(_unknown(name, known, targets.spec.modality))
    return {name: known[name] for name in names}


def _unknown(name: str, known: Mapping[str, modality.Metric], targets: str) -> str:
    close = difflib.get_close_matches(name, known, 1, 0.4)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    if name in METRICS:
        hint = "It is for ids, and these targets have no `vocab_size`. "
    return (
        f"No metric of targets of modality '{targets}' is named '{name}'. {hint}There "
        f"are: {', '.join(known) or 'none'}. The `metrics` of a problem name them, "
        "those of a modality may add to them."
    )
