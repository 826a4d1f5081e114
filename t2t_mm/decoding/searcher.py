"""One batch of a problem: from features to the ids of the best outputs, in a graph."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf

from t2t_mm import model as model_lib
from t2t_mm.decoding import beam, constraints, sampling, sequential, steps
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.layers import casting, compilation
from t2t_mm.modality import Embedded

Features = Mapping[str, tf.Tensor]

NUM_WORDS = "num_words"  # `[batch]` int32, of the inputs, for constraints
NUMBERS = "numbers"  # `[batch]` int32, which input a row is, for samples

# Options that mean something for targets that are sequences, or have ids, alone.
_OF_SEQUENCES = (
    "alpha",
    "extra_length",
    "min_length_ratio",
    "force_decode_length",
    "eos_penalty",
    "return_attention",
)
_OF_IDS = ("beam_size", "return_beams", "write_beam_scores")


class Found(NamedTuple):
    """Outputs of a batch, the best first unless they are samples.

    Attributes:
      ids: `[batch, results, longest]` int32, prompts included; zeros after the end.
      scores: `[batch, results]`; `beam.NO_SCORE` where there is no result.
    """

    ids: tf.Tensor
    scores: tf.Tensor


class Searcher:
    """Encodes a batch once and searches for outputs position by position."""

    def __init__(
        self,
        models: Sequence[model_lib.Model],
        problem_name: str,
        *,
        config: DecodeConfig,
        constraint: constraints.Constraint | None,
    ) -> None:
        """Takes what a search needs.

        Args:
          models: with restored variables; several predict with their mean.
          problem_name: one of their problems.
          config: how to search.
          constraint: what outputs must look like, if they must.

        Raises:
          ValueError: if the options do not fit the problem.
        """
        self._models = models
        self._name = problem_name
        self._config = config
        self._constraint = constraint
        self._has_inputs = models[0].has_inputs(problem_name)
        self._check_options()

    def _check_options(self) -> None:
        target = self._models[0].target_modality(self._name)
        if target.spec.vocab_size is None and len(self._models) > 1:
            raise ValueError(
                f"Several checkpoints vote on ids; the targets of {self._name} have "
                "none. Give one checkpoint."
            )
        if not target.autoregressive and self._config.is_random:
            raise ValueError(
                f"Targets of {self._name} are no sequences: there are no samples of "
                "them. Decode with sampling_method=argmax."
            )

    def unused_options(self) -> list[str]:
        """Returns the names of options that are set and have no effect here."""
        target = self._models[0].target_modality(self._name)
        if target.autoregressive:
            without_inputs = set() if self._has_inputs else {"return_attention"}
            return [name for name in self._config.changes() if name in without_inputs]
        unused = set(_OF_SEQUENCES)
        if target.spec.vocab_size is None:
            unused.update(_OF_IDS)
        elif not self._config.return_beams:
            unused.add("beam_size")
        return [name for name in self._config.changes() if name in unused]

    def signature(self) -> dict[str, tf.TensorSpec]:
        """Returns the types of the features that `__call__` wants."""
        signature = {
            name: spec
            for name, spec in self._models[0].signature(self._name).items()
            if not (self._has_inputs and name.startswith("targets"))
        }
        rows = tf.TensorSpec([None], tf.int32)
        if self._constraint is not None:
            signature[NUM_WORDS] = rows
        if self._config.is_random:
            signature[NUMBERS] = rows
        return signature

    def __call__(self, features: Features, is_filler: tf.Tensor) -> Found | tf.Tensor:
        """Returns outputs, or what the modality predicts if that is no ids.

        Args:
          features: as in `signature`; without inputs, `targets` is a prompt.
          is_filler: `[batch]` bool, rows that nobody waits for.
        """
        model = self._models[0]
        if model.is_autoregressive(self._name):
            return self.search(features, self.encode(features), is_filler)
        if model.target_modality(self._name).spec.vocab_size is None:
            return model.predict(features, problem=self._name)
        logits = [self._read_off(each, features) for each in self._models]
        return self._best_ids(steps.mean_log_probabilities(logits))

    def _read_off(self, model: model_lib.Model, features: Features) -> tf.Tensor:
        encoded = model.encode(features, problem=self._name)
        body = model.read_off(encoded, features[model_lib.SPACE_ID], None)
        return model.target_modality(self._name).top(body.embedded)

    def _best_ids(self, log_probabilities: tf.Tensor) -> Found:
        """Returns the likeliest ids of targets that are no sequence."""
        if self._constraint is not None:
            ones = tf.ones([tf.shape(log_probabilities)[0]], tf.int32)
            allowed = self._constraint.allowed(self._constraint.start(ones, ones))
            log_probabilities = tf.where(
                allowed[:, None], log_probabilities, steps.FORBIDDEN
            )
        count = tf.minimum(self._config.num_results, tf.shape(log_probabilities)[2])
        scores, ids = tf.math.top_k(log_probabilities, count)
        # [batch, length, results] -> [batch, results, length]
        return Found(tf.transpose(ids, [0, 2, 1]), tf.reduce_sum(scores, 1))

    def why_not_compiled(self) -> str | None:
        """Returns what keeps XLA from compiling `search`; None if nothing does."""
        if not self._models[0].is_autoregressive(self._name):
            return "its targets are no sequence"
        if self._constraint is not None:
            return "constraints have shapes that depend on the inputs"
        if self._config.is_random:
            return "samples would be others"
        return None

    def gains_from_xla(self) -> bool:
        """Returns whether a compiled search is likely the faster one.

        On a CPU, XLA computes in bfloat16 by way of float32: 16 outputs of
        `multimodel_t2t_tiny` came at 2,197 and in the plain graph at 3,975 tokens/s.
        """
        is_bfloat16 = self._models[0].hparams.activation_dtype == "bfloat16"
        return not is_bfloat16 or compilation.has_accelerator()

    def encode(self, features: Features) -> list[Embedded]:
        """Returns what each model makes of the inputs, for `search`."""
        encoded = [
            model.encode(features, problem=self._name).embedded
            for model in self._models
        ]
        return [Embedded(each.values, each.mask) for each in encoded]

    def search(
        self,
        features: Features,
        encoded: Sequence[Embedded],
        is_filler: tf.Tensor,
    ) -> Found:
        """Returns outputs that are sequences.

        Args:
          features: as of `__call__`; the inputs themselves are not looked at.
          encoded: from `encode`.
          is_filler: `[batch]` bool, rows that nobody waits for.
        """
        lengths = self._given_lengths(features, encoded[0])
        max_lengths = self._max_lengths(features, lengths)
        room = self._room(features, encoded[0], max_lengths)
        step, state = self._step(features, encoded, lengths, max_lengths, room)
        with casting.before_loops():
            if self._config.beam_size > 1:
                return self._beam_search(step, state, is_filler, max_lengths, room)
            return self._extend(features, step, state, is_filler, max_lengths, room)

    def _given_lengths(self, features: Features, encoded: Embedded) -> tf.Tensor:
        """Returns the length of the encoded input or the prompt, `[batch]` int32."""
        if not self._has_inputs:
            return features["targets_length"]
        return tf.reduce_sum(tf.cast(encoded.mask, tf.int32), 1)

    def _max_lengths(self, features: Features, lengths: tf.Tensor) -> tf.Tensor:
        max_lengths = lengths + self._config.extra_length
        if self._constraint is None:
            return max_lengths
        least = self._constraint.least_length(features[NUM_WORDS])
        return tf.maximum(max_lengths, least)

    def _room(
        self, features: Features, encoded: Embedded, max_lengths: tf.Tensor
    ) -> tf.Tensor | int:
        """Returns the number of positions to make room for; under XLA it is static."""
        if not compilation.is_for_xla():
            return tf.reduce_max(max_lengths)
        given = encoded.values if self._has_inputs else features["targets"]
        return given.shape[1] + self._config.extra_length

    def _step(
        self,
        features: Features,
        encoded: Sequence[Embedded],
        lengths: tf.Tensor,
        max_lengths: tf.Tensor,
        room: tf.Tensor | int,
    ) -> tuple[steps.StepFunction, steps.State]:
        """Returns what scores the next id, and its state at the start."""
        config = self._config
        space_id = features[model_lib.SPACE_ID]
        step = steps.mean_of(
            [
                functools.partial(model.decode_step, problem=self._name)
                for model in self._models
            ]
        )
        state: steps.State = tuple(
            model.init_state(part, space_id, max_length=room)
            for model, part in zip(self._models, encoded, strict=True)
        )
        if config.min_length_ratio or config.force_decode_length or config.eos_penalty:
            least = self._least_lengths(lengths, max_lengths)
            step, state = (
                steps.with_ends(step, eos_penalty=config.eos_penalty),
                (state, least),
            )
        if self._constraint is not None:
            start = self._constraint.start(features[NUM_WORDS], max_lengths)
            step = constraints.constrain(step, self._constraint)
            state = (state, start)
        if not self._has_inputs:
            step, state = steps.with_given(step), (state, features["targets"])
        return step, state

    def _least_lengths(self, lengths: tf.Tensor, max_lengths: tf.Tensor) -> tf.Tensor:
        if self._config.force_decode_length:
            return max_lengths
        least = tf.cast(lengths, tf.float32) * self._config.min_length_ratio
        return tf.minimum(tf.cast(tf.math.ceil(least), tf.int32), max_lengths)

    def _beam_search(
        self,
        step: steps.StepFunction,
        state: steps.State,
        is_filler: tf.Tensor,
        max_lengths: tf.Tensor,
        room: tf.Tensor | int,
    ) -> Found:
        found = beam.search(
            step,
            state,
            is_filler=is_filler,
            max_lengths=max_lengths,
            beam_size=self._config.beam_size,
            alpha=self._config.alpha,
            stop_early=not self._config.return_beams,
            room=room,
            end_bonus=max(0.0, -self._config.eos_penalty),
        )
        count = self._config.num_results
        return Found(found.ids[:, :count], found.scores[:, :count])

    def _extend(
        self,
        features: Features,
        step: steps.StepFunction,
        state: steps.State,
        is_filler: tf.Tensor,
        max_lengths: tf.Tensor,
        room: tf.Tensor | int,
    ) -> Found:
        """Searches greedily or draws samples."""
        count = self._config.num_results
        choose: sequential.Choice = sequential.best
        is_filler, max_lengths = steps.repeat_rows((is_filler, max_lengths), count)
        if self._config.is_random:
            choose = self._sampler(features[NUMBERS], room)
        found = sequential.extend(
            step,
            steps.repeat_rows(state, count),
            choose=choose,
            is_filler=is_filler,
            max_lengths=max_lengths,
            room=room,
        )
        lengths = tf.reduce_sum(tf.cast(found.ids != 0, tf.int32), 1)
        scores = found.scores / beam.length_penalty(lengths, self._config.alpha)
        longest = tf.shape(found.ids)[1]
        # [batch * results, ...] -> [batch, results, ...]
        return Found(
            tf.reshape(found.ids, [-1, count, longest]),
            tf.reshape(scores, [-1, count]),
        )

    def _sampler(
        self, numbers: tf.Tensor, length: tf.Tensor | int
    ) -> sequential.Choice:
        config = self._config
        samples = tf.range(config.num_decodes)
        # [batch] -> [batch * num_decodes], a number for each sample of each input
        numbers = tf.reshape(numbers[:, None] * config.num_decodes + samples, [-1])
        return sampling.sampler(
            sampling.draw(tf.constant(config.seed), numbers, length),
            temperature=config.sampling_temp,
            keep_top_k=config.sampling_keep_top_k,
            keep_top_p=config.sampling_keep_top_p,
        )
