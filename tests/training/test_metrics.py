import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

import tiny_models
from t2t_mm import modality
from t2t_mm.modalities import class_label
from t2t_mm.training import metrics

# Three rows of two positions over seven ids; the best id of each position:
BEST = np.array([[2, 5], [3, 0], [6, 6]])
LOGITS = np.full([3, 2, 7], -1.0, np.float32)
for _row, _position in np.ndindex(3, 2):
    LOGITS[_row, _position, BEST[_row, _position]] = 2.0
TARGETS = np.array([[2, 5], [3, 1], [4, 0]], np.int32)
MASK = np.array([[True, True], [True, True], [False, False]])


def _evaluate(name, logits=LOGITS, targets=TARGETS, mask=MASK):
    terms = metrics.METRICS[name](
        tf.constant(logits), tf.constant(targets), tf.constant(mask)
    )
    return float(terms.total), float(terms.weight)


def test_accuracy_counts_right_positions():
    assert _evaluate("accuracy") == (3.0, 4.0)


def test_a_sequence_is_right_if_all_of_it_is():
    assert _evaluate("accuracy_per_sequence") == (1.0, 2.0)


def test_padding_makes_no_sequence_wrong():
    mask = np.array([[True, True], [True, False], [False, False]])

    assert _evaluate("accuracy_per_sequence", mask=mask) == (2.0, 2.0)


def test_rank_five_is_among_the_five_highest_and_rank_six_is_not():
    logits = np.tile(np.arange(7, 0, -1, dtype=np.float32), (1, 7, 1))
    targets = np.arange(7, dtype=np.int32)[None]

    total, weight = _evaluate("accuracy_top5", logits, targets, np.ones([1, 7], bool))

    assert (total, weight) == (5.0, 7.0)


def test_with_few_classes_all_are_among_the_five_highest():
    logits = np.zeros([1, 2, 3], np.float32)
    targets = np.array([[0, 2]], np.int32)

    counts = _evaluate("accuracy_top5", logits, targets, np.ones([1, 2], bool))

    assert counts == (2.0, 2.0)


def test_neg_log_perplexity_is_the_sum_of_log_probabilities():
    right = 2.0 - math.log(math.exp(2.0) + 6 * math.exp(-1.0))
    wrong = right - 3.0

    total, weight = _evaluate("neg_log_perplexity")

    assert total == pytest.approx(3 * right + wrong, rel=1e-5)
    assert weight == 4.0


@pytest.mark.parametrize("name", metrics.METRICS)
def test_batches_add_up(name):
    halves = [
        _evaluate(name, LOGITS[rows], TARGETS[rows], MASK[rows])
        for rows in (slice(0, 1), slice(1, 3))
    ]

    total = sum(half[0] for half in halves)
    assert _evaluate(name) == pytest.approx((total, sum(half[1] for half in halves)))


@pytest.mark.parametrize("name", metrics.METRICS)
def test_a_batch_of_fillers_counts_nothing(name):
    assert _evaluate(name, mask=np.zeros([3, 2], bool)) == (0.0, 0.0)


# Metrics that a modality brings.


def _error(outputs, targets, mask):
    return modality.LossTerms(tf.constant(0.0), tf.constant(0.0))


class _Label(class_label.ClassLabelModality):
    metrics = {"rank_error": _error, "accuracy_top5": _error}


class _Number(modality.Modality):
    autoregressive = False
    metrics = {"absolute_error": _error}
    top = loss = predict = _error


def _targets(cls, **changes):
    spec = dataclasses.replace(tiny_models.LABEL, **changes)
    return cls(spec, tiny_models.make_hparams(), [modality.TARGETS], name="targets")


def test_metrics_of_a_modality_come_beside_those_of_ids_and_first():
    selected = metrics.select(["accuracy", "accuracy_top5"], _targets(_Label))

    assert selected == {"accuracy": metrics.accuracy, "accuracy_top5": _error}


def test_an_unknown_metric_names_the_closest_of_both():
    label = _targets(_Label)

    with pytest.raises(LookupError, match="'acuracy'. Did you mean 'accuracy'?"):
        metrics.select(["accuracy", "acuracy"], label)
    with pytest.raises(LookupError, match="'rank_eror'. Did you mean 'rank_error'?"):
        metrics.select(["rank_eror"], label)


def test_targets_that_are_not_ids_have_no_metrics_of_ids():
    number = _targets(_Number, modality="number", vocab_size=None)

    assert metrics.select(["absolute_error"], number) == {"absolute_error": _error}
    with pytest.raises(LookupError, match="is for ids.* There are: absolute_error"):
        metrics.select(["accuracy"], number)
