"""From a trained model to texts, classes and whatever else modalities predict."""

import dataclasses
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from t2t_mm import hparam
from t2t_mm import model as model_lib
from t2t_mm import problem as problem_lib
from t2t_mm.data import encoding, pipeline, vocabulary
from t2t_mm.decoding import (
    batch_rows,
    beam,
    compiled_search,
    constraints,
    listed_constraint,
    output_attention,
    searcher,
    tree_constraint,
)
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.features import EOS_ID, Split


class Hypothesis(NamedTuple):
    """One output of an input.

    Attributes:
      text: the output; of a language model, what follows the prompt.
      ids: its ids with the one that ends it, or what the modality predicts if its
        targets are no ids.
      score: log-probability over ((5 + length) / 6)^alpha, of a class plain
        log-probability; None if targets are no ids.
      attention: of the best output, if it was asked for: how much each of `ids` looked
        at each position of the encoded input, by layer.
    """

    text: str
    ids: list[Any]
    score: float | None
    attention: dict[str, list[list[float]]] | None = None


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
    ) -> None:
        """Creates a decoder.

        Args:
          model: with restored variables.
          problem: one of those that the model was built for.
          config: how to decode.
          vocab_dir: folder of the problem's vocabulary.
          ensemble: further models; the mean of the probabilities decides.
          jit_compile: search with XLA; None for shapes of batches that come up often.

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
        self._constraint = self._make_constraint()
        search = searcher.Searcher(
            [model, *ensemble],
            problem.name,
            config=config,
            constraint=self._constraint,
        )
        if unused := search.unused_options():
            logging.warning(
                "decode | %s | no effect on such targets: %s",
                problem.name,
                ", ".join(unused),
            )
        self._attention = None
        if config.return_attention and "return_attention" not in unused:
            self._attention = output_attention.OutputAttention(model, problem.name)
        self._feature_names = search.signature().keys()
        self._search = compiled_search.CompiledSearch(search, problem.name, jit_compile)

    def _make_constraint(self) -> constraints.Constraint | None:
        name = self.problem.name
        vocab_size = self._model.target_modality(name).spec.vocab_size
        if self.config.constrained:
            return tree_constraint.of_problem(self.problem, self._vocab_dir, vocab_size)
        if not self.config.allowed_outputs:
            return None
        if not self._has_inputs:
            raise ValueError(
                f"`allowed_outputs` needs inputs; {name} continues beginnings of texts."
            )
        return listed_constraint.of_problem(
            self.problem,
            self.config.allowed_outputs,
            self._vocab_dir,
            vocab_size,
            are_sequences=self._model.is_autoregressive(name),
        )

    @property
    def gives_ids(self) -> bool:
        """Whether outputs are ids, right or wrong, not numbers, near or far."""
        targets = self._model.target_modality(self.problem.name)
        return targets.spec.vocab_size is not None

    def _decode_batch(
        self,
        features: Mapping[str, tf.Tensor],
        is_filler: np.ndarray,
        numbers: np.ndarray,
    ) -> list[list[Hypothesis]]:
        """Returns the outputs of each row, the best first.

        Args:
          features: a batch; `targets` are read as prompts of a language model only.
          is_filler: `[batch]`, rows whose outputs are of no account.
          numbers: `[batch]`, which input each row is, for samples.
        """
        prepared = self._model.prepare(features, self.problem.name)
        prepared[searcher.NUM_WORDS] = self._count_words(features, len(numbers))
        prepared[searcher.NUMBERS] = tf.constant(numbers, tf.int32)
        prepared = {name: prepared[name] for name in self._feature_names}
        found = self._search(prepared, tf.constant(is_filler))
        if not isinstance(found, searcher.Found):
            rows = found.numpy().tolist()
            return [[Hypothesis(self._to_text(row), row, None)] for row in rows]
        prompts = np.zeros(len(numbers), np.int32)
        if not self._has_inputs:
            prompts = features["targets_length"].numpy()
        all_ids, all_scores = found.ids.numpy(), found.scores.numpy()
        results = [
            [
                self._hypothesis(ids[i], float(scores[i]), int(prompt))
                for i in range(len(scores))
                if i == 0 or scores[i] > beam.NO_SCORE
            ]
            for ids, scores, prompt in zip(all_ids, all_scores, prompts, strict=True)
        ]
        if self._attention is None:
            return results
        weights = self._attention(prepared, [best.ids for best, *_ in results])
        return [
            [best._replace(attention=attention), *others]
            for attention, (best, *others) in zip(weights, results, strict=True)
        ]

    def _count_words(self, features: Mapping[str, tf.Tensor], rows: int) -> tf.Tensor:
        """Returns how many words inputs have, if a constraint depends on it."""
        if self._constraint is None or not self._constraint.reads_words:
            return tf.zeros([rows], tf.int32)
        ids = features["inputs"].numpy().tolist()
        texts = [self.problem.decode_inputs(row, self._vocab_dir) for row in ids]
        return tf.constant([self._constraint.count_words(text) for text in texts])

    def _hypothesis(self, ids: np.ndarray, score: float, prompt: int) -> Hypothesis:
        """Returns an output without the prompt of so many ids."""
        text = self._continuation(ids, prompt) if prompt else self._to_text(ids)
        ids = ids[prompt:]
        ends = np.flatnonzero(ids == EOS_ID)
        if ends.size:
            ids = ids[: ends[0] + 1]
        return Hypothesis(text, ids.tolist(), score)

    def _to_text(self, row: Sequence[Any] | np.ndarray) -> str:
        return self.problem.decode_targets(list(row), self._vocab_dir)

    def _continuation(self, row: np.ndarray, prompt_length: int) -> str:
        """Returns the text of ids after the first `prompt_length`.

        It is cut off the text of all of them: only there do spaces between words show.
        A prompt that ends within a character has a text that the whole does not begin
        with to its end.
        """
        texts = [self._to_text(row[:prompt_length]), self._to_text(row)]
        return texts[1][len(os.path.commonprefix(texts)) :]

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
        for positions, features in encode(
            self.problem,
            inputs,
            self._vocab_dir,
            self._hparams,
            max_size=self.config.max_input_size,
            numbers=number_of.tolist(),
        ):
            is_filler = positions == pipeline.FILLER
            results = self._decode_batch(features, is_filler, number_of[positions])
            for row in np.flatnonzero(~is_filler):
                yield int(positions[row]), results[row]

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
        has_several = self._has_inputs and self.problem.several_references
        is_once = has_several and not self.config.is_random
        seen: _Results = {}
        first_number = 0
        for features in pipeline.eval_dataset(
            self.problem, split, data_dir, self._hparams, max_batches
        ):
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
            else:
                seen = {}
            seen |= {
                key: known[number]
                for key, number in zip(keys, numbers[rows].tolist(), strict=True)
                if known and number in known
            }
            yield from self._decode_examples(features, rows, numbers, keys, seen)

    def _decode_examples(
        self,
        features: Mapping[str, tf.Tensor],
        rows: np.ndarray,
        numbers: np.ndarray,
        keys: Sequence[Hashable],
        seen: _Results,
    ) -> Iterator[Decoded]:
        """Yields what is made of some rows of a batch; adds to `seen` what is new.

        Args:
          features: the batch.
          rows: which.
          numbers: `[batch]`, which example of the split each row is.
          keys: of `rows`; rows of one key have the same results.
          seen: results by key.
        """
        read = self._example if self._has_inputs else self._prompted_example
        new: dict[Hashable, int] = {}
        for key, row in zip(keys, rows.tolist(), strict=True):
            if key not in seen:
                new.setdefault(key, row)
        if new:
            given = features if self._has_inputs else batch_rows.first_halves(features)
            taken = batch_rows.take(given, np.array([*new.values()]))
            found = self._decode_batch(
                taken.features, taken.is_filler, numbers[taken.sources]
            )
            seen.update(zip(new, found, strict=False))  # fillers stay out
        values = {name: value.numpy() for name, value in features.items()}
        for key, row in zip(keys, rows.tolist(), strict=True):
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
        return self._inputs(batch, row), self._to_text(batch["targets"][row])

    def _prompted_example(
        self, batch: Mapping[str, np.ndarray], row: int
    ) -> tuple[np.ndarray, str]:
        """Returns prompt and reference of a row of a batch without inputs."""
        length = int(batch["targets_length"][row]) // 2
        targets = batch["targets"][row]
        return targets[:length], self._continuation(targets, length)
