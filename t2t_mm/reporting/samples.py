"""Decoded examples of a split, with their inputs in a form that people can see."""

import dataclasses
import itertools
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from t2t_mm.data import image_problem
from t2t_mm.decoding import decoded_predictions, visible_inputs
from t2t_mm.decoding import decoder as decoder_lib
from t2t_mm.evaluation import scores
from t2t_mm.evaluation.score import Score
from t2t_mm.features import Split
from t2t_mm.reporting import confusions

FOLDER = "samples"  # in the folder of a report


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
    """Which samples to show.

    Attributes:
      split: where they come from.
      count: largest number per problem.
      max_batches: how much of the split is decoded and scored; None for all.
    """

    split: Split
    count: int
    max_batches: int | None


class Sample(NamedTuple):
    """One example.

    Attributes:
      text: the inputs in words; empty if a picture shows them.
      picture: path of a PNG file in the report's folder, or None.
      reference: the true target.
      output: the model's.
      is_of_ids: whether an output is right or wrong, as ids are and numbers are not.
    """

    text: str
    picture: str | None
    reference: str
    output: str
    is_of_ids: bool = True

    @property
    def is_right(self) -> bool | None:
        """Whether the output is the reference; None where that says nothing."""
        return self.output == self.reference if self.is_of_ids else None


class ProblemSamples(NamedTuple):
    """Samples of one problem and the scores of all that was decoded for them.

    Attributes:
      samples: some of the decoded examples, spread over all of them.
      scores: of all decoded examples, by name.
      confusion: path of a picture, in the report's folder, of which classes are taken
        for which; None if outputs are no classes.
    """

    samples: list[Sample]
    scores: dict[str, Score]
    confusion: str | None = None


def collect(
    decoder: decoder_lib.Decoder,
    selection: Selection,
    *,
    data_dir: str,
    vocab_dir: str,
    report_dir: str,
) -> ProblemSamples:
    """Decodes batches of a split and keeps some examples, with pictures of inputs.

    Args:
      decoder: of one problem.
      selection: which examples.
      data_dir: folder of the records.
      vocab_dir: folder of the problem's vocabulary.
      report_dir: folder of the report; the pictures go below it.

    Raises:
      FileNotFoundError: if the split has not been generated.
    """
    decoded = list(
        decoder.decode_split(selection.split, data_dir, selection.max_batches)
    )
    os.makedirs(os.path.join(report_dir, FOLDER), exist_ok=True)
    problem = decoder.problem
    samples = [
        _sample(decoder, example, number, vocab_dir=vocab_dir, report_dir=report_dir)
        for number, example in enumerate(spread(decoded, selection.count))
    ]
    predictions = decoded_predictions.collect(
        decoded, several_references=problem.several_references
    )
    path = f"{FOLDER}/{problem.name}-confusions.png"
    is_drawn = confusions.draw_of_problem(
        problem, predictions, vocab_dir, os.path.join(report_dir, path)
    )
    return ProblemSamples(
        samples,
        scores.score(problem.scores, predictions),
        path if is_drawn else None,
    )


def _sample(
    decoder: decoder_lib.Decoder,
    example: decoder_lib.Decoded,
    number: int,
    *,
    vocab_dir: str,
    report_dir: str,
) -> Sample:
    """Returns an example as people can see it, and writes its picture if it has one."""
    problem = decoder.problem
    path = f"{FOLDER}/{problem.name}-{number}.png"
    is_picture = write_picture(example.inputs, os.path.join(report_dir, path))
    text = visible_inputs.to_text(problem, example.inputs, vocab_dir)
    return Sample(
        "" if is_picture else text,
        path if is_picture else None,
        example.reference,
        example.output,
        decoder.gives_ids,
    )


def spread(
    decoded: Sequence[decoder_lib.Decoded], count: int
) -> list[decoder_lib.Decoded]:
    """Returns at most `count` of the examples, at equal distances."""
    step = max(1, len(decoded) // max(count, 1))
    return list(itertools.islice(decoded, 0, step * count, step))


def write_picture(inputs: np.ndarray, path: str) -> bool:
    """Writes inputs as PNG if they can be seen; returns False if not."""
    picture = visible_inputs.to_picture(inputs)
    if picture is None:
        return False
    with open(path, "wb") as file:
        file.write(image_problem.encode_png(picture))
    return True
