"""From decoded examples to what scores read."""

import hashlib
from collections.abc import Iterable

from t2t_mm.decoding.decoder import Decoded, Decoder
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.features import Split


def of_split(
    decoder: Decoder, split: Split, data_dir: str, max_batches: int | None = None
) -> Predictions:
    """Decodes a split and returns outputs and references.

    Raises:
      FileNotFoundError: if the split has not been generated.
      ValueError: if it was made with another vocabulary.
    """
    return collect(
        decoder.decode_split(split, data_dir, max_batches),
        several_references=decoder.problem.several_references,
    )


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
    rows: dict[object, int] = {}
    for number, example in enumerate(decoded):
        key = _digest(example) if several_references else number
        row = rows.setdefault(key, len(outputs))
        if row == len(outputs):
            outputs.append(example.output)
            references.append([])
        references[row].append(example.reference)
    return Predictions(outputs=outputs, references=references)


def _digest(example: Decoded) -> tuple[tuple[int, ...], bytes]:
    """Returns what equal inputs have in common: pixels themselves take much memory."""
    return example.inputs.shape, hashlib.sha256(example.inputs.tobytes()).digest()
