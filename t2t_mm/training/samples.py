"""Samples for TensorBoard: what a model says about a few examples of dev."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from t2t_mm import model as model_lib
from t2t_mm import problem as problem_lib
from t2t_mm.data import pipeline, text_problem
from t2t_mm.decoding import decoder as decoder_lib
from t2t_mm.decoding import visible_inputs
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.features import EOS_ID, Split
from t2t_mm.training import attention_maps

END = "<end>"


class Samples:
    """Decodes the first examples of dev of every problem; graphs are built once."""

    def __init__(
        self,
        model: model_lib.Model,
        problems: Mapping[str, problem_lib.Problem],
        data_dir: str,
        *,
        count: int,
    ) -> None:
        """Prepares to decode `count` examples of each problem.

        Args:
          model: decodes with the weights that it has at the time.
          problems: by name.
          data_dir: folder of the records and vocabularies.
          count: examples per problem.
        """
        self._data_dir = data_dir
        self._count = count
        self._decoders = {
            name: decoder_lib.Decoder(
                model,
                problem,
                config=DecodeConfig(batch_size=count),
                vocab_dir=data_dir,
            )
            for name, problem in problems.items()
        }
        self._maps = attention_maps.AttentionMaps(model)
        # As the decoders have it, so that both see the same examples.
        self._hparams = dataclasses.replace(
            model.hparams, batch_size=count, batch_examples=count
        )

    def write(self) -> None:
        """Writes texts, pictures and attention maps to the default summary writer."""
        for name, decoder in self._decoders.items():
            decoded = list(
                itertools.islice(
                    # Batches of text may have a single row.
                    decoder.decode_split(Split.EVAL, self._data_dir, self._count),
                    self._count,
                )
            )
            tf.summary.text(f"{name}/samples", self._table(decoder.problem, decoded))
            pictures = [visible_inputs.to_picture(row.inputs) for row in decoded]
            shown = [picture for picture in pictures if picture is not None]
            if shown:
                tf.summary.image(
                    f"{name}/inputs", _stack(shown), max_outputs=len(shown)
                )
            self._write_maps(name, decoder.problem)

    def _table(
        self, problem: problem_lib.Problem, decoded: Sequence[decoder_lib.Decoded]
    ) -> str:
        """Returns a table in Markdown, which TensorBoard shows as one."""
        lines = ["| inputs | reference | output |", "| --- | --- | --- |"]
        for number, row in enumerate(decoded):
            inputs = f"picture {number}"
            if visible_inputs.to_picture(row.inputs) is None:
                inputs = visible_inputs.to_text(problem, row.inputs, self._data_dir)
            cells = (inputs, row.reference, row.output)
            lines.append(f"| {' | '.join(_cell(text) for text in cells)} |")
        return "\n".join(lines)

    def _write_maps(self, name: str, problem: problem_lib.Problem) -> None:
        batches = pipeline.eval_dataset(
            problem, Split.EVAL, self._data_dir, self._hparams, 1
        )
        features = next(iter(batches))
        maps = self._maps.of_first_row(features, name)
        if not maps:
            return
        row = {name: value[0].numpy() for name, value in features.items()}
        picture = attention_maps.draw(
            maps, self._target_tokens(problem, row), self._input_tokens(problem, row)
        )
        tf.summary.image(f"{name}/attention", picture[None])

    def _target_tokens(
        self, problem: problem_lib.Problem, row: Mapping[str, np.ndarray]
    ) -> list[str]:
        ids = row["targets"][: row["targets_length"]].tolist()
        return [
            END
            if number == EOS_ID
            else problem.decode_targets([number], self._data_dir)
            for number in ids
        ]

    def _input_tokens(
        self, problem: problem_lib.Problem, row: Mapping[str, np.ndarray]
    ) -> list[str]:
        """Returns the tokens of the inputs; none if they are no text."""
        if not isinstance(problem, text_problem.TextInputs):
            return []
        encoder = problem.text_encoder(self._data_dir)
        ids = row["inputs"][: row["inputs_length"]].tolist()
        return [END if number == EOS_ID else encoder.decode([number]) for number in ids]


def _cell(text: str) -> str:
    """Returns text that stays in its cell of a table in Markdown."""
    return " ".join(text.replace("|", "\\|").split())


def _stack(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Returns pictures as one array, black where the small ones end."""
    height, width = (max(p.shape[axis] for p in pictures) for axis in (0, 1))
    return np.stack(
        [
            np.pad(p, [(0, height - p.shape[0]), (0, width - p.shape[1]), (0, 0)])
            for p in pictures
        ]
    )
