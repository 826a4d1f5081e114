"""One batch of a problem to outputs: a search, and the texts of what it finds."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import logging

from t2t_mm import model as model_lib
from t2t_mm import problem as problem_lib
from t2t_mm.decoding import (
    beam,
    compiled_search,
    constraints,
    listed_constraint,
    output_attention,
    searcher,
    tree_constraint,
)
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.decoding.hypothesis import Hypothesis
from t2t_mm.features import EOS_ID


class Batch(NamedTuple):
    """Inputs or prompts that are ready to be searched.

    Attributes:
      search: finds outputs from `features` and `is_filler`.
      features: what the search reads.
      is_filler: `[batch]` bool, rows whose outputs are of no account.
      prompt_lengths: `[batch]`, how many ids of each output are a prompt.
    """

    search: Callable[..., searcher.Found | tf.Tensor]
    features: dict[str, tf.Tensor]
    is_filler: tf.Tensor
    prompt_lengths: np.ndarray


class BatchDecoder:
    """Searches outputs of batches, and turns ids into texts.

    Batches are prepared one after the other; prepared ones may be decoded in several
    threads.
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
        """Makes the search; the arguments are those of `Decoder`.

        Raises:
          ValueError: if the options of decoding do not fit the problem.
        """
        self._model = model
        self._problem = problem
        self._config = config
        self._vocab_dir = vocab_dir
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
        name = self._problem.name
        vocab_size = self._model.target_modality(name).spec.vocab_size
        if self._config.constrained:
            return tree_constraint.of_problem(
                self._problem, self._vocab_dir, vocab_size
            )
        if not self._config.allowed_outputs:
            return None
        if not self._has_inputs:
            raise ValueError(
                f"`allowed_outputs` needs inputs; {name} continues beginnings of texts."
            )
        return listed_constraint.of_problem(
            self._problem,
            self._config.allowed_outputs,
            self._vocab_dir,
            vocab_size,
            are_sequences=self._model.is_autoregressive(name),
        )

    def prepare(
        self,
        features: Mapping[str, tf.Tensor],
        is_filler: np.ndarray,
        numbers: np.ndarray,
    ) -> Batch:
        """Returns a batch for `decode`.

        Args:
          features: a batch; `targets` are read as prompts of a language model only.
          is_filler: `[batch]`, rows whose outputs are of no account.
          numbers: `[batch]`, which input each row is, for samples.
        """
        prepared = self._model.prepare(features, self._problem.name)
        prepared[searcher.NUM_WORDS] = self._count_words(features, len(numbers))
        prepared[searcher.NUMBERS] = tf.constant(numbers, tf.int32)
        prepared = {name: prepared[name] for name in self._feature_names}
        prompt_lengths = np.zeros(len(numbers), np.int32)
        if not self._has_inputs:
            prompt_lengths = features["targets_length"].numpy()
        return Batch(
            self._search.choose(prepared),
            prepared,
            tf.constant(is_filler),
            prompt_lengths,
        )

    def _count_words(self, features: Mapping[str, tf.Tensor], rows: int) -> tf.Tensor:
        """Returns how many words inputs have, if a constraint depends on it."""
        if self._constraint is None or not self._constraint.reads_words:
            return tf.zeros([rows], tf.int32)
        ids = features["inputs"].numpy().tolist()
        texts = [self._problem.decode_inputs(row, self._vocab_dir) for row in ids]
        return tf.constant([self._constraint.count_words(text) for text in texts])

    def decode(self, batch: Batch) -> list[list[Hypothesis]]:
        """Returns the outputs of each row, the best first."""
        found = batch.search(batch.features, batch.is_filler)
        if not isinstance(found, searcher.Found):
            rows = found.numpy().tolist()
            return [[Hypothesis(self.to_text(row), row, None)] for row in rows]
        results = [
            [
                self._hypothesis(ids[i], float(scores[i]), int(prompt))
                for i in range(len(scores))
                if i == 0 or scores[i] > beam.NO_SCORE
            ]
            for ids, scores, prompt in zip(
                found.ids.numpy(),
                found.scores.numpy(),
                batch.prompt_lengths,
                strict=True,
            )
        ]
        if self._attention is None:
            return results
        weights = self._attention(batch.features, [best.ids for best, *_ in results])
        return [
            [best._replace(attention=attention), *others]
            for attention, (best, *others) in zip(weights, results, strict=True)
        ]

    def _hypothesis(self, ids: np.ndarray, score: float, prompt: int) -> Hypothesis:
        """Returns an output without the prompt of so many ids."""
        text = self.continuation(ids, prompt) if prompt else self.to_text(ids)
        ids = ids[prompt:]
        ends = np.flatnonzero(ids == EOS_ID)
        if ends.size:
            ids = ids[: ends[0] + 1]
        return Hypothesis(text, ids.tolist(), score)

    def to_text(self, row: Sequence[Any] | np.ndarray) -> str:
        """Returns what the problem says that a target is."""
        return self._problem.decode_targets(list(row), self._vocab_dir)

    def continuation(self, row: np.ndarray, prompt_length: int) -> str:
        """Returns the text of ids after the first `prompt_length`.

        It is cut off the text of all of them: only there do spaces between words show.
        A prompt that ends within a character has a text that the whole does not begin
        with to its end.
        """
        texts = [self.to_text(row[:prompt_length]), self.to_text(row)]
        return texts[1][len(os.path.commonprefix(texts)) :]
