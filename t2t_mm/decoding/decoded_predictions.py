"""From decoded examples to what scores read."""

from collections.abc import Iterable

from t2t_mm.decoding.decoder import Decoded
from t2t_mm.evaluation.predictions import Predictions


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
        key = (example.inputs.shape, example.inputs.tobytes())
        row = rows.setdefault(key if several_references else number, len(outputs))
        if row == len(outputs):
            outputs.append(example.output)
            references.append([])
        references[row].append(example.reference)
    return Predictions(outputs=outputs, references=references)
