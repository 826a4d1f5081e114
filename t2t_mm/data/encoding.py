"""Raw inputs -> padded batches, for decoding what is not in a data folder's records.

A language model has no inputs; what it continues are prompts, beginnings of targets.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import logging
from etils import epy

from t2t_mm import hparam, problem
from t2t_mm.data import bucketing, pipeline, planning, tfrecord
from t2t_mm.features import EOS_ID

with epy.lazy_imports():
    import tensorflow as tf


class InputBatch(NamedTuple):
    """Some of the inputs or prompts, padded.

    Attributes:
      positions: `[batch]` int64, which of them each row is; -1 for a filler.
      features: `inputs` and `inputs_length`, or `targets` and `targets_length`.
    """

    positions: np.ndarray
    features: dict[str, "tf.Tensor"]


def encode_batch(
    problem: problem.Problem,
    samples: Sequence[Any],
    data_dir: str,
    hparams: hparam.HParams,
    max_size: int | None = None,
    numbers: Sequence[int] | None = None,
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
      max_size: longer texts are cut to this many ids; None for none.
      numbers: by which a warning counts inputs, from 0; the positions if None.
    """
    varies = planning.feature_varies(problem, data_dir)[0]
    encoded = [problem.encode_inputs(sample, data_dir) for sample in samples]
    if varies and problem.record_types["inputs"] == "int64":
        _warn_of_long(encoded, max_size, numbers)
        encoded = [_cut(ids, max_size or len(ids)) for ids in encoded]
    lengths = np.array([problem.inputs_length(inputs) for inputs in encoded], np.int64)
    padded = np.array([_next_rung(n) if varies else n for n in lengths], np.int64)
    for positions, padded_length in _groups(problem, padded, varies, hparams):
        yield _batch(problem, encoded, positions, padded_length)


def encode_prompts(
    problem: problem.Problem,
    prompts: Sequence[Any],
    data_dir: str,
    hparams: hparam.HParams,
    max_size: int | None = None,
    numbers: Sequence[int] | None = None,
) -> Iterator[InputBatch]:
    """Yields beginnings of targets as padded batches; they may be empty.

    Args:
      problem: the problem.
      prompts: what `problem.read_input` returns: texts.
      data_dir: folder of the vocabulary.
      hparams: sizes of batches.
      max_size: of longer prompts, the last ids are kept; None for all.
      numbers: by which a warning counts prompts, from 0; the positions if None.
    """
    encoded = [_encode_prompt(problem, prompt, data_dir) for prompt in prompts]
    _warn_of_long(encoded, max_size, numbers)
    encoded = [ids[-(max_size or 0) :] for ids in encoded]
    padded = np.array([_next_rung(len(ids)) for ids in encoded], np.int64)
    for positions, padded_length in _groups(problem, padded, True, hparams):
        ids = np.zeros([len(positions), padded_length], np.int32)
        lengths = np.zeros(len(positions), np.int32)
        for row in np.flatnonzero(positions != pipeline.FILLER):
            prompt = encoded[positions[row]]
            ids[row, : len(prompt)], lengths[row] = prompt, len(prompt)
        features = {"targets": tf.constant(ids), "targets_length": tf.constant(lengths)}
        yield InputBatch(positions, features)


def _encode_prompt(problem: problem.Problem, prompt: Any, data_dir: str) -> list[int]:
    ids = problem.encode_targets(prompt, data_dir)
    return ids[:-1] if ids[-1:] == [EOS_ID] else ids


def _warn_of_long(
    encoded: Sequence[list[int]], max_size: int | None, numbers: Sequence[int] | None
) -> None:
    for ids, number in zip(encoded, numbers or range(len(encoded)), strict=True):
        if max_size and len(ids) > max_size:
            logging.warning(
                "Input %d has %d ids and is cut to %d, `max_input_size`.",
                number + 1,
                len(ids),
                max_size,
            )


def _cut(ids: list[int], max_size: int) -> list[int]:
    """Returns ids that are no more than that, and end as before."""
    if len(ids) <= max_size:
        return ids
    return [*ids[: max_size - 1], ids[-1]]


def _groups(
    problem: problem.Problem, padded: np.ndarray, varies: bool, hparams: hparam.HParams
) -> Iterator[tuple[np.ndarray, int]]:
    """Yields the positions of a batch, fillers included, and their padded length."""
    for padded_length in np.unique(padded):
        members = np.flatnonzero(padded == padded_length)
        size = planning.batch_size(
            problem, (padded_length, 0), (varies, False), hparams
        )
        for start in range(0, len(members), size):
            group = members[start : start + size]
            positions = np.full(min(size, _next_power(len(group))), pipeline.FILLER)
            positions[: len(group)] = group
            yield positions, int(padded_length)


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
