"""From a trained model to texts, classes and whatever else modalities predict."""

import dataclasses
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from t2t_mm import hparam
from t2t_mm import model as model_lib
from t2t_mm import problem as problem_lib
from t2t_mm.data import encoding, pipeline, vocabulary
from t2t_mm.decoding import batch_decoder, batch_rows, side_by_side
from t2t_mm.decoding.batch_decoder import Batch
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.decoding.hypothesis import Hypothesis
from t2t_mm.features import Split

About = TypeVar("About")
_Results = dict[Hashable, Sequence[Hypothesis]]  # of examples, by what tells them apart


class Decoded(NamedTuple):
    """One example of a split and what the model makes of it.

    Attributes:
      inputs: what the batch holds: ids, pixels or a spectrogram, without padding of
        the batch for ids and frames; of a language model, the ids of the prompt.
      reference: the true target as text, such as the name of a class; of a language
        model, what is left of it after the prompt.
      output: the model's best.
      results: all that was asked for, with ids and scores.
    """

    inputs: np.ndarray
    reference: str
    output: str
    results: Sequence[Hypothesis] = ()


class _Examples(NamedTuple):
    """A batch of a split.

    Attributes:
      features: what the pipeline gave.
      rows: which of its rows are examples.
      keys: of `rows`; rows of one key have the same results.
      known: results that were there before, by key.
      new: the keys of what is decoded for this batch, in the order of the results.
    """

    features: Mapping[str, tf.Tensor]
    rows: np.ndarray
    keys: Sequence[Hashable]
    known: _Results
    new: Sequence[Hashable]


def _with_batch_size(hparams: hparam.HParams, size: int) -> hparam.HParams:
    """Returns hparams with another size of batches; 0 for the same."""
    if not size:
        return hparams
    return dataclasses.replace(hparams, batch_size=size, batch_examples=size)


class Decoder:
    """Turns inputs of a problem into outputs with a trained model.

    A language model has no inputs: it continues prompts, the beginnings of targets, and
    its outputs are what follows them.

    Attributes:
      problem: the problem.
      config: how to decode.
    """

    def __init__(
        self,
        model: model_lib.Model,
        problem: problem_lib.Problem,
        *,
        config: DecodeConfig,
        vocab_dir: str,
        ensemble: Sequence[model_lib.Model] = (),
        jit_compile: bool | None = None,
        batches_at_once: int = 0,
    ) -> None:
        """Creates a decoder.

        Args:
          model: with restored variables.
          problem: one of those that the model was built for.
          config: how to decode.
          vocab_dir: folder of the problem's vocabulary.
          ensemble: further models; the mean of the probabilities decides.
          jit_compile: search with XLA; None for shapes of batches that come up often.
          batches_at_once: how many batches are decoded at the same time, with the same
            results; 0 for one more than there are cores, at most 8, and one with a
            GPU.

        Raises:
          ValueError: if the options of decoding do not fit the problem.
        """
        vocabulary.choose_as_trained(problem, model.problems[problem.name])
        self._model = model
        self.problem = problem
        self.config = config
        self._vocab_dir = vocab_dir
        self._hparams = _with_batch_size(model.hparams, config.batch_size)
        self._has_inputs = model.has_inputs(problem.name)
        self._batches_at_once = batches_at_once or side_by_side.default_number()
        self._batches = batch_decoder.BatchDecoder(
            model,
            problem,
            config=config,
            vocab_dir=vocab_dir,
            ensemble=ensemble,
            jit_compile=jit_compile,
        )

    @property
    def gives_ids(self) -> bool:
        """Whether outputs are ids, right or wrong, not numbers, near or far."""
        targets = self._model.target_modality(self.problem.name)
        return targets.spec.vocab_size is not None

    def decode(self, inputs: Sequence[Any]) -> list[str]:
        """Returns the best output for every raw input, in their order.

        Args:
          inputs: what `problem.read_input` returns: texts, images or waveforms. Of a
            language model they are prompts, which may be empty.
        """
        outputs = [""] * len(inputs)
        for position, results in self.search(inputs):
            outputs[position] = results[0].text
        return outputs

    def search(
        self, inputs: Sequence[Any], *, numbers: Sequence[int] | None = None
    ) -> Iterator[tuple[int, list[Hypothesis]]]:
        """Yields positions of raw inputs and their outputs, a batch after the other.

        Args:
          inputs: as of `decode`.
          numbers: a number for each input, from 0, for samples and warnings: an input
            has the same samples wherever it stands if its number is the same; the
            positions if None.
        """
        number_of = np.arange(len(inputs)) if numbers is None else np.array(numbers)
        encode = encoding.encode_batch if self._has_inputs else encoding.encode_prompts

        def prepare() -> Iterator[tuple[np.ndarray, Batch]]:
            for positions, features in encode(
                self.problem,
                inputs,
                self._vocab_dir,
                self._hparams,
                max_size=self.config.max_input_size,
                numbers=number_of.tolist(),
            ):
                is_filler = positions == pipeline.FILLER
                yield (
                    positions,
                    self._batches.prepare(features, is_filler, number_of[positions]),
                )

        for positions, results in self._decode_batches(prepare()):
            for row in np.flatnonzero(positions != pipeline.FILLER):
                yield int(positions[row]), results[row]

    def _decode_batches(
        self, batches: Iterable[tuple[About, Batch | None]]
    ) -> Iterator[tuple[About, list[list[Hypothesis]]]]:
        """Yields what is said about each batch, and results of its rows, if it has any.

        Batches are prepared in this thread, and decoded in others, several at a time.
        """

        def decode(
            item: tuple[About, Batch | None],
        ) -> tuple[About, list[list[Hypothesis]]]:
            about, batch = item
            return about, [] if batch is None else self._batches.decode(batch)

        return side_by_side.in_order(decode, batches, number=self._batches_at_once)

    def check_input(self, value: Any) -> None:
        """Raises `ValueError` for a raw input that cannot be encoded."""
        encode = (
            self.problem.encode_inputs
            if self._has_inputs
            else self.problem.encode_targets
        )
        encode(value, self._vocab_dir)

    def decode_split(
        self,
        split: Split,
        data_dir: str,
        max_batches: int | None = None,
        *,
        known: Mapping[int, Sequence[Hypothesis]] | None = None,
    ) -> Iterator[Decoded]:
        """Yields the examples of a split with the model's outputs.

        A language model continues the first half of each target. Where equal inputs
        are one example with several references, they are decoded once; not for
        samples, which differ.

        Args:
          split: which.
          data_dir: folder of the records.
          max_batches: only so many batches of them.
          known: results of some examples, by their numbers from 0; they are not
            decoded again.

        Raises:
          FileNotFoundError: if the split has not been generated.
          ValueError: if it was made with another vocabulary.
        """
        is_once = self._has_inputs and self.problem.several_references
        is_once = is_once and not self.config.is_random
        batches = pipeline.eval_dataset(
            self.problem, split, data_dir, self._hparams, max_batches
        )
        seen: _Results = {}
        for examples, found in self._decode_batches(
            self._prepare_examples(batches, known or {}, is_once=is_once)
        ):
            seen |= examples.known
            seen.update(zip(examples.new, found, strict=False))  # fillers stay out
            yield from self._examples(examples, seen)
            if not is_once:
                seen.clear()

    def _prepare_examples(
        self,
        batches: Iterable[Mapping[str, tf.Tensor]],
        known: Mapping[int, Sequence[Hypothesis]],
        *,
        is_once: bool,
    ) -> Iterator[tuple[_Examples, Batch | None]]:
        """Yields batches of a split, and what is to be decoded of each.

        Args:
          batches: of the pipeline.
          known: results by the number of an example.
          is_once: whether equal inputs are decoded once.
        """
        asked: set[Hashable] = set()
        first_number = 0
        for features in batches:
            rows = np.flatnonzero(features["targets_length"].numpy())
            numbers = np.zeros(len(features["targets_length"]), np.int32)
            numbers[rows] = first_number + np.arange(len(rows))
            first_number += len(rows)
            keys: list[Hashable] = numbers[rows].tolist()
            if is_once:
                inputs = {k: v.numpy() for k, v in features.items() if "inputs" in k}
                keys = [
                    batch_rows.digest(self._inputs(inputs, row))
                    for row in rows.tolist()
                ]
            given = {
                key: known[number]
                for key, number in zip(keys, numbers[rows].tolist(), strict=True)
                if number in known
            }
            asked |= given.keys()
            new: dict[Hashable, int] = {}
            for key, row in zip(keys, rows.tolist(), strict=True):
                if key not in asked:
                    new.setdefault(key, row)
            if is_once:
                asked |= new.keys()
            else:
                asked.clear()
            examples = _Examples(features, rows, keys, given, [*new])
            yield examples, self._prepare_rows(features, [*new.values()], numbers)

    def _prepare_rows(
        self, features: Mapping[str, tf.Tensor], rows: list[int], numbers: np.ndarray
    ) -> Batch | None:
        """Returns some rows of a batch to be decoded; None for none."""
        if not rows:
            return None
        given = features if self._has_inputs else batch_rows.first_halves(features)
        taken = batch_rows.take(given, np.array(rows))
        return self._batches.prepare(
            taken.features, taken.is_filler, numbers[taken.sources]
        )

    def _examples(self, examples: _Examples, seen: _Results) -> Iterator[Decoded]:
        """Yields the examples of a batch with their results."""
        read = self._example if self._has_inputs else self._prompted_example
        values = {name: value.numpy() for name, value in examples.features.items()}
        for key, row in zip(examples.keys, examples.rows.tolist(), strict=True):
            yield Decoded(*read(values, row), seen[key][0].text, seen[key])

    def _inputs(self, batch: Mapping[str, np.ndarray], row: int) -> np.ndarray:
        """Returns the inputs of a row of a batch, without padding."""
        spec = self._model.problems[self.problem.name]["inputs"]
        inputs = batch["inputs"][row]
        return (
            inputs[: batch["inputs_length"][row]] if spec.shape[0] is None else inputs
        )

    def _example(
        self, batch: Mapping[str, np.ndarray], row: int
    ) -> tuple[np.ndarray, str]:
        """Returns inputs and reference of a row of a batch."""
        return self._inputs(batch, row), self._batches.to_text(batch["targets"][row])

    def _prompted_example(
        self, batch: Mapping[str, np.ndarray], row: int
    ) -> tuple[np.ndarray, str]:
        """Returns prompt and reference of a row of a batch without inputs."""
        length = int(batch["targets_length"][row]) // 2
        targets = batch["targets"][row]
        return targets[:length], self._batches.continuation(targets, length)
