"""From decoded examples to what scores read."""

import dataclasses
import time
from collections.abc import Hashable, Iterable, Iterator

from absl import logging

from t2t_mm import problem as problem_lib
from t2t_mm.data import class_targets
from t2t_mm.decoding import batch_rows
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.decoding.decoder import Decoded, Decoder
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.features import Split

CLASS_CANDIDATES = 5  # for the score top5
_SECONDS_BETWEEN_LINES = 20.0  # of the log


def scoring_config(problem: problem_lib.Problem, config: DecodeConfig) -> DecodeConfig:
    """Returns how to decode so that the scores of a problem have all they read.

    Of classes several are wanted, the likeliest first; which one is first stays the
    same. A search for texts is left as it is, and samples, which classes have none of:
    the decoder says so.
    """
    if not isinstance(problem, class_targets.ClassTargets) or config.is_random:
        return config
    size = max(config.beam_size, CLASS_CANDIDATES)
    return dataclasses.replace(config, beam_size=size, return_beams=True)


def of_split(
    decoder: Decoder, split: Split, data_dir: str, max_batches: int | None = None
) -> Predictions:
    """Decodes a split and returns outputs and references.

    If the decoder gives several outputs, all of them are candidates.

    Raises:
      FileNotFoundError: if the split has not been generated.
      ValueError: if it was made with another vocabulary.
    """
    problem = decoder.problem
    decoded = decoder.decode_split(split, data_dir, max_batches)
    return collect(
        _with_progress(decoded, f"{problem.name} | {split}"),
        several_references=problem.several_references,
    )


def _with_progress(decoded: Iterable[Decoded], name: str) -> Iterator[Decoded]:
    """Yields the examples and logs now and then how many there were."""
    logged = time.monotonic()
    for number, example in enumerate(decoded, 1):
        yield example
        if time.monotonic() - logged >= _SECONDS_BETWEEN_LINES:
            logged = time.monotonic()
            logging.info("decode | %s | %d examples so far", name, number)


def collect(
    decoded: Iterable[Decoded], *, several_references: bool = False
) -> Predictions:
    """Returns outputs and references of decoded examples, in their order.

    Args:
      decoded: examples of a split.
      several_references: whether examples with the same inputs, such as the captions of
        one image, are one with several references.
    """
    outputs: list[str] = []
    references: list[list[str]] = []
    candidates: list[list[str]] = []
    rows: dict[Hashable, int] = {}
    for number, example in enumerate(decoded):
        key: Hashable = (
            batch_rows.digest(example.inputs) if several_references else number
        )
        row = rows.setdefault(key, len(outputs))
        if row == len(outputs):
            outputs.append(example.output)
            references.append([])
            candidates.append([result.text for result in example.results])
        references[row].append(example.reference)
    has_several = any(len(texts) > 1 for texts in candidates)
    return Predictions(
        outputs=outputs,
        references=references,
        candidates=candidates if has_several else None,
    )
