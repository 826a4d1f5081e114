"""Which shapes the batches of a problem have, from the lengths in its indices."""

import functools
import os
from collections.abc import Sequence

import numpy as np
from absl import logging

from t2t_mm import hparam, problem
from t2t_mm.data import bucketing, records
from t2t_mm.data import manifest as manifests
from t2t_mm.data.bucketing import Bucket
from t2t_mm.features import FeatureSpec, Split

FEATURES = ("inputs", "targets")  # in the order of the columns of all length arrays
MAX_EXTRA_SHAPES = 2  # for examples that only an evaluation split has


def feature_varies(problem: problem.Problem, data_dir: str) -> tuple[bool, bool]:
    """Returns whether the lengths of inputs and targets vary."""
    specs = problem.feature_specs(data_dir)
    return _varies(specs.get("inputs")), _varies(specs["targets"])


def _varies(spec: FeatureSpec | None) -> bool:
    return spec is not None and spec.shape[0] is None


def length_columns(problem: problem.Problem) -> tuple[str, ...]:
    """Returns the columns of an index that have the lengths of inputs and targets."""
    return tuple(f"{problem.record_features[feature]}_length" for feature in FEATURES)


def index_lengths(index: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """Returns the lengths of inputs and targets, `[records, 2]` int64.

    Args:
      index: of `records.INDEX_DTYPE`.
      columns: from `length_columns`.
    """
    return np.stack([index[column] for column in columns], axis=1).astype(np.int64)


def rows_within_limits(lengths: np.ndarray, hparams: hparam.HParams) -> np.ndarray:
    """Returns the rows of `lengths` that are short enough to train on."""
    limits = (hparams.max_input_length, hparams.max_target_length)
    return np.flatnonzero((lengths <= limits).all(axis=1))


def batch_size(
    problem: problem.Problem,
    padded_lengths: Sequence[int],
    varies: Sequence[bool],
    hparams: hparam.HParams,
) -> int:
    """Returns how many examples of a padded length make a batch."""
    if not problem.batch_size_means_tokens:
        return hparams.batch_examples
    longest = max(np.where(varies, padded_lengths, 1))
    return max(1, hparams.batch_size // int(longest))


def training_buckets(
    problem: problem.Problem, data_dir: str, hparams: hparam.HParams
) -> tuple[Bucket, ...]:
    """Returns the shapes of training; most evaluation examples fit into them too.

    Raises:
      FileNotFoundError: if the problem has no records.
      ValueError: if records are damaged, or all training examples are too long.
    """
    manifest_path = manifests.path(problem.dataset_name, data_dir)
    changed = os.stat(manifest_path).st_mtime_ns if os.path.exists(manifest_path) else 0
    varies = feature_varies(problem, data_dir)
    shapes, counts = _training_shapes(
        problem.dataset_name,
        columns=length_columns(problem),
        varies=varies,
        data_dir=data_dir,
        hparams=hparams,
        changed=changed,
    )
    buckets = []
    for shape, count in zip(shapes, counts, strict=True):
        size = batch_size(problem, shape, varies, hparams)
        # Too few examples for a whole batch would never be trained on.
        size = min(size, count) if count else size
        buckets.append(make_bucket(size, shape))
    return tuple(buckets)


def make_bucket(batch_size: int, padded_lengths: Sequence[int]) -> Bucket:
    """Returns the bucket of padded lengths of inputs and targets."""
    inputs_length, targets_length = map(int, padded_lengths)
    return Bucket(
        batch_size=int(batch_size),
        inputs_length=inputs_length,
        targets_length=targets_length,
    )


@functools.lru_cache(maxsize=64)
def _training_shapes(
    dataset_name: str,
    *,
    columns: tuple[str, ...],
    varies: tuple[bool, bool],
    data_dir: str,
    hparams: hparam.HParams,
    changed: int,
) -> tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Returns padded lengths, and how many training examples have each.

    `changed` is the time of the manifest: other records are another call.
    """
    kept = {}
    for split in (Split.TRAIN, Split.EVAL):
        if split == Split.TRAIN or has_split(dataset_name, split, data_dir):
            index = records.RecordReader(dataset_name, split, data_dir).index
            lengths = index_lengths(index, columns)
            kept[split] = lengths[rows_within_limits(lengths, hparams)]
            if split == Split.TRAIN:
                _log_dropped(dataset_name, len(lengths), len(kept[split]), hparams)
    shapes = bucketing.choose_shapes(
        np.concatenate(list(kept.values())), varies, hparams.max_buckets
    )
    shape_of = bucketing.assign(kept[Split.TRAIN], shapes)
    counts = np.bincount(shape_of, minlength=len(shapes))
    return tuple(tuple(shape.tolist()) for shape in shapes), tuple(counts.tolist())


def has_split(dataset_name: str, split: Split, data_dir: str) -> bool:
    """Returns whether a problem's records have a split."""
    manifest = manifests.load(dataset_name, data_dir)
    return manifest is not None and split in manifest.splits


def _log_dropped(
    problem_name: str, total: int, kept: int, hparams: hparam.HParams
) -> None:
    if not kept:
        raise ValueError(
            f"All {total} training examples of {problem_name} are longer than "
            f"`max_input_length` ({hparams.max_input_length}) or `max_target_length` "
            f"({hparams.max_target_length}). Raise them in --hparams."
        )
    if kept < total:
        logging.info(
            "%s | leaving out %d of %d training examples: longer than max_input_length "
            "%d or max_target_length %d",
            problem_name,
            total - kept,
            total,
            hparams.max_input_length,
            hparams.max_target_length,
        )


def evaluation_buckets(
    problem: problem.Problem,
    lengths: np.ndarray,
    data_dir: str,
    hparams: hparam.HParams,
) -> tuple[Bucket, ...]:
    """Returns the shapes of training, then those of examples that do not fit.

    Args:
      problem: the problem.
      lengths: `[examples, 2]`, lengths of inputs and targets.
      data_dir: folder of the records.
      hparams: sizes of batches and limits of training.
    """
    buckets = training_buckets(problem, data_dir, hparams)
    shapes = np.array([(b.inputs_length, b.targets_length) for b in buckets])
    too_long = lengths[bucketing.assign(lengths, shapes) == len(shapes)]
    if not len(too_long):
        return buckets
    varies = feature_varies(problem, data_dir)
    extra = bucketing.choose_shapes(too_long, varies, MAX_EXTRA_SHAPES)
    return buckets + tuple(
        make_bucket(batch_size(problem, shape, varies, hparams), shape)
        for shape in extra
    )
