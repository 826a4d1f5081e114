"""How likely a model holds given outputs for: forced decoding."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from t2t_mm import model as model_lib
from t2t_mm import problem as problem_lib
from t2t_mm.data import bucketing, encoding, pipeline, vocabulary


class OutputScore(NamedTuple):
    """How likely one output is.

    Attributes:
      log_probability: in nats, of all its ids with the one that ends it.
      num_ids: how many those are.
    """

    log_probability: float
    num_ids: int


class _Target(NamedTuple):
    """Ids of an output, of which those from `start` on count."""

    ids: list[int]
    start: int = 0


class OutputScorer:
    """Computes log-probabilities of outputs of a problem, in one pass for all ids."""

    def __init__(
        self, model: model_lib.Model, problem: problem_lib.Problem, *, vocab_dir: str
    ) -> None:
        """Creates a scorer.

        Args:
          model: with restored variables.
          problem: one of those that the model was built for.
          vocab_dir: folder of the problem's vocabulary.

        Raises:
          ValueError: if the problem's targets are no ids.
        """
        if model.target_modality(problem.name).spec.vocab_size is None:
            raise ValueError(
                f"The outputs of {problem.name} are no ids, so they have no "
                "probabilities. See the metrics of its modality."
            )
        vocabulary.choose_as_trained(problem, model.problems[problem.name])
        self._model = model
        self._problem = problem
        self._vocab_dir = vocab_dir
        self._has_inputs = model.has_inputs(problem.name)
        self._sums = tf.function(
            self._sum_log_probabilities,
            input_signature=[
                model.signature(problem.name),
                tf.TensorSpec([None], tf.int32),
            ],
        )

    def _sum_log_probabilities(
        self, features: Mapping[str, tf.Tensor], starts: tf.Tensor
    ) -> tf.Tensor:
        """Returns sums `[batch]` over the ids of each row from its start on."""
        outputs = self._model(features, problem=self._problem.name).outputs
        targets, lengths = features["targets"], features["targets_length"]
        every = tf.nn.log_softmax(tf.cast(outputs, tf.float32))
        of_targets = tf.gather(every, targets, batch_dims=2)
        length = tf.shape(targets)[1]
        counts = tf.sequence_mask(lengths, length) & ~tf.sequence_mask(starts, length)
        return tf.reduce_sum(tf.where(counts, of_targets, 0.0), 1)

    def score(self, inputs: Sequence[Any], outputs: Sequence[str]) -> list[OutputScore]:
        """Returns how likely each output is for its input.

        Args:
          inputs: what `problem.read_input` returns: texts, images or waveforms. Of a
            language model they are prompts, which may be empty; the ids of a prompt do
            not count.
          outputs: as many texts or names of classes.

        Raises:
          ValueError: if there are not as many, or for an output that is no class.
        """
        if len(inputs) != len(outputs):
            raise ValueError(
                "There must be an output for every input; got "
                f"{len(inputs)} inputs and {len(outputs)} outputs."
            )
        targets = list(map(self._target, inputs, outputs))
        scores = [OutputScore(0.0, len(t.ids) - t.start) for t in targets]
        for positions, features in self._batches(inputs):
            rows = self._features_of([targets[p] for p in positions])
            rows["targets_length"][positions == pipeline.FILLER] = 0
            starts = rows.pop("starts")
            prepared = self._model.prepare(features | rows, self._problem.name)
            sums = self._sums(prepared, tf.constant(starts)).numpy()
            for row in np.flatnonzero(positions != pipeline.FILLER):
                position = positions[row]
                scores[position] = scores[position]._replace(
                    log_probability=float(sums[row])
                )
        return scores

    def check(self, given: Any, output: str) -> None:
        """Raises `ValueError` for an input or an output that cannot be encoded."""
        if self._has_inputs:
            self._problem.encode_inputs(given, self._vocab_dir)
        self._target(given, output)

    def _target(self, given: Any, output: str) -> _Target:
        """Returns the ids of an output; after a prompt, those that differ from it."""
        if self._has_inputs:
            return _Target(self._problem.encode_targets(output, self._vocab_dir))
        ids = self._problem.encode_targets(given + output, self._vocab_dir)
        prompt = self._problem.encode_targets(given, self._vocab_dir)[:-1]
        start = 0
        while start < len(prompt) and ids[start] == prompt[start]:
            start += 1
        return _Target(ids, start)

    def _batches(self, inputs: Sequence[Any]) -> Iterator[encoding.InputBatch]:
        """Yields the inputs in batches; prompts without features."""
        arguments = self._problem, inputs, self._vocab_dir, self._model.hparams
        if self._has_inputs:
            yield from encoding.encode_batch(*arguments)
            return
        for positions, _ in encoding.encode_prompts(*arguments):
            yield encoding.InputBatch(positions, {})

    def _features_of(self, targets: Sequence[_Target]) -> dict[str, np.ndarray]:
        """Returns padded ids, their lengths and where counting begins."""
        lengths = np.array([len(target.ids) for target in targets], np.int32)
        width = int(lengths.max())
        if self._model.is_autoregressive(self._problem.name):
            width = -(-width // bucketing.LENGTH_MULTIPLE) * bucketing.LENGTH_MULTIPLE
        ids = np.zeros([len(targets), width], np.int32)
        for row, target in zip(ids, targets, strict=True):
            row[: len(target.ids)] = target.ids
        starts = np.array([target.start for target in targets], np.int32)
        return {"targets": ids, "targets_length": lengths, "starts": starts}
