"""Raw inputs -> padded batches, for decoding what is not in a data folder's records."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epy

from t2t_mm import hparam, problem
from t2t_mm.data import bucketing, pipeline, planning, tfrecord

with epy.lazy_imports():
    import tensorflow as tf


class InputBatch(NamedTuple):
    """Some of the inputs, padded.

    Attributes:
      positions: `[batch]` int64, which input each row is; -1 for a filler.
      features: `inputs` and `inputs_length`.
    """

    positions: np.ndarray
    features: dict[str, "tf.Tensor"]


def encode_batch(
    problem: problem.Problem,
    samples: Sequence[Any],
    data_dir: str,
    hparams: hparam.HParams,
) -> Iterator[InputBatch]:
    """Yields raw inputs as padded batches.

    Inputs take the same way as those of records. Lengths and sizes of batches are
    rounded up to few values, so that few shapes are compiled however many calls there
    are.

    Args:
      problem: the problem.
      samples: what `problem.read_input` returns: texts, images or waveforms.
      data_dir: folder of the vocabulary.
      hparams: sizes of batches.
    """
    varies = planning.feature_varies(problem, data_dir)[0]
    encoded = [problem.encode_inputs(sample, data_dir) for sample in samples]
    lengths = np.array([problem.inputs_length(inputs) for inputs in encoded], np.int64)
    padded = np.array([_next_rung(n) if varies else n for n in lengths], np.int64)
    for padded_length in np.unique(padded):
        members = np.flatnonzero(padded == padded_length)
        size = planning.batch_size(
            problem, (padded_length, 0), (varies, False), hparams
        )
        for start in range(0, len(members), size):
            group = members[start : start + size]
            positions = np.full(min(size, _next_power(len(group))), pipeline.FILLER)
            positions[: len(group)] = group
            yield _batch(problem, encoded, positions, padded_length)


def _batch(
    problem: problem.Problem,
    encoded: Sequence[list[Any]],
    positions: np.ndarray,
    padded_length: int,
) -> InputBatch:
    is_filler = positions == pipeline.FILLER
    sources = np.where(is_filler, positions[0], positions)
    feature = problem.record_features["inputs"]
    payloads = [tfrecord.encode_example({feature: encoded[row]}) for row in sources]
    lengths = np.array([problem.inputs_length(encoded[row]) for row in sources])
    lengths = np.where(is_filler, 0, lengths)
    features = pipeline.parse_batch(
        problem,
        names=("inputs",),
        payloads=tf.constant(payloads),
        lengths=tf.constant(np.stack([lengths, 0 * lengths], 1), tf.int32),
        padded_lengths=tf.constant([padded_length, 0], tf.int32),
    )
    return InputBatch(positions, features)


def _next_power(count: int) -> int:
    return 1 << (count - 1).bit_length()


def _next_rung(length: int) -> int:
    """Rounds up to 8, 16, 24, 32, 48, 64, 96, ...: powers of two and 1.5 times them."""
    power = max(bucketing.LENGTH_MULTIPLE, _next_power(int(length)))
    between = power * 3 // 4
    fits_between = length <= between and between % bucketing.LENGTH_MULTIPLE == 0
    return between if fits_between else power
