"""From a trained model to texts, classes and whatever else modalities predict."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from t2t_mm import averaging, registry, run_folder
from t2t_mm import model as model_lib
from t2t_mm import problem as problem_lib
from t2t_mm.data import encoding, pipeline, vocabulary
from t2t_mm.decoding import constraints, greedy, tree_constraint
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.features import Split

_NUM_WORDS = "num_words"  # `[batch]` int32, of the inputs, for constraints


class Decoded(NamedTuple):
    """One example of a split and what the model makes of it.

    Attributes:
      inputs: what the batch holds: ids, pixels or a spectrogram, without padding of
        the batch for ids and frames; of a language model, the ids of the prompt.
      reference: the true target as text, such as the name of a class; of a language
        model, what is left of it after the prompt.
      output: the model's.
    """

    inputs: np.ndarray
    reference: str
    output: str


class Decoder:
    """Turns inputs of a problem into outputs with a trained model.

    A language model has no inputs: it continues prompts, the beginnings of targets, and
    its outputs are what follows them.

    Attributes:
      problem: the problem.
    """

    def __init__(
        self,
        model: model_lib.Model,
        problem: problem_lib.Problem,
        *,
        config: DecodeConfig,
        vocab_dir: str,
    ) -> None:
        """Creates a decoder.

        Args:
          model: with restored variables.
          problem: one of those that the model was built for.
          config: how to decode.
          vocab_dir: folder of the problem's vocabulary.
        """
        vocabulary.choose_as_trained(problem, model.problems[problem.name])
        self._model = model
        self.problem = problem
        self._config = config
        self._vocab_dir = vocab_dir
        hparams = model.hparams
        if config.batch_size:
            hparams = dataclasses.replace(
                hparams,
                batch_size=config.batch_size,
                batch_examples=config.batch_size,
            )
        self._hparams = hparams
        self._has_inputs = model.has_inputs(problem.name)
        self._constraint = self._make_constraint() if config.constrained else None
        signature = self._without_targets(model.signature(problem.name))
        if self._constraint is not None:
            signature[_NUM_WORDS] = tf.TensorSpec([None], tf.int32, _NUM_WORDS)
        self._predict = tf.function(
            self._predict_targets,
            input_signature=[signature, tf.TensorSpec([None], tf.bool)],
        )

    def _make_constraint(self) -> constraints.Constraint:
        vocab_size = self._model.target_modality(self.problem.name).spec.vocab_size
        return tree_constraint.of_problem(self.problem, self._vocab_dir, vocab_size)

    def _without_targets(self, features: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what decoding starts from; without inputs, `targets` is a prompt."""
        return {
            name: value
            for name, value in features.items()
            if not (self._has_inputs and name.startswith("targets"))
        }

    @property
    def gives_ids(self) -> bool:
        """Whether outputs are ids, right or wrong, not numbers, near or far."""
        targets = self._model.target_modality(self.problem.name)
        return targets.spec.vocab_size is not None

    @classmethod
    def from_output_dir(
        cls,
        output_dir: str,
        problem_name: str,
        *,
        config: DecodeConfig,
        checkpoint_path: str | None = None,
    ) -> "Decoder":
        """Rebuilds the model of a run and restores a checkpoint of it.

        Args:
          output_dir: folder of the run.
          problem_name: one of the problems of the run.
          config: how to decode.
          checkpoint_path: the newest of the run if None.

        Raises:
          FileNotFoundError: if there is no run or no checkpoint.
          LookupError: if the run has no such problem.
        """
        model = load_model(output_dir, checkpoint_path)
        problem = registry.problem(problem_name)
        if problem.name not in model.problems:
            raise LookupError(
                f"The model in '{output_dir}' was not trained on {problem.name}. It "
                f"knows: {', '.join(sorted(model.problems))}."
            )
        return cls(model, problem, config=config, vocab_dir=output_dir)

    def _predict_targets(
        self, features: Mapping[str, tf.Tensor], is_filler: tf.Tensor
    ) -> tf.Tensor:
        """Returns ids `[batch, length]` int32, or what the modality predicts."""
        model, name = self._model, self.problem.name
        if not model.is_autoregressive(name):
            return model.predict(features, problem=name)
        encoded = model.encode(features, problem=name).embedded
        prompts = None if self._has_inputs else features["targets"]
        given = encoded.values if prompts is None else prompts
        max_length = tf.shape(given)[1] + self._config.extra_length
        constraint = self._constraint
        if constraint is not None:
            least = constraint.least_length(features[_NUM_WORDS])
            max_length = tf.maximum(max_length, tf.reduce_max(least))
        state = model.init_state(
            encoded, features[model_lib.SPACE_ID], max_length=max_length
        )
        step: greedy.StepFunction = functools.partial(model.decode_step, problem=name)
        if constraint is not None:
            step = constraints.constrain(step, constraint)
            state = (state, constraint.start(features[_NUM_WORDS], max_length))
        return greedy.greedy_search(
            step,
            state,
            is_filler=is_filler,
            max_length=max_length,
            prompts=prompts,
        )

    def _decode_batch(
        self, features: Mapping[str, tf.Tensor], is_filler: np.ndarray
    ) -> list[str]:
        inputs = self._without_targets(features)
        prepared = self._model.prepare(inputs, self.problem.name)
        if self._constraint is not None:
            rows = features["inputs"].numpy().tolist()
            texts = [self.problem.decode_inputs(row, self._vocab_dir) for row in rows]
            counts = [self._constraint.count_words(text) for text in texts]
            prepared[_NUM_WORDS] = tf.constant(counts, tf.int32)
        rows = self._predict(prepared, tf.constant(is_filler)).numpy()
        if self._has_inputs:
            return [self._to_text(row) for row in rows]
        lengths = features["targets_length"].numpy()
        ends = lengths + self._config.extra_length
        return [
            self._continuation(row[:end], length)
            for row, length, end in zip(rows, lengths, ends, strict=True)
        ]

    def _to_text(self, row: np.ndarray) -> str:
        return self.problem.decode_targets(row.tolist(), self._vocab_dir)

    def _continuation(self, row: np.ndarray, prompt_length: int) -> str:
        """Returns the text of ids after the first `prompt_length`.

        It is cut off the text of all of them: only there do spaces between words show.
        """
        prompt = self._to_text(row[:prompt_length])
        return self._to_text(row).removeprefix(prompt)

    def decode(self, inputs: Sequence[Any]) -> list[str]:
        """Returns one output for every raw input, in their order.

        Args:
          inputs: what `problem.read_input` returns: texts, images or waveforms. Of a
            language model they are prompts, which may be empty.
        """
        outputs = [""] * len(inputs)
        encode = encoding.encode_batch if self._has_inputs else encoding.encode_prompts
        batches = encode(self.problem, inputs, self._vocab_dir, self._hparams)
        for positions, features in batches:
            texts = self._decode_batch(features, positions == pipeline.FILLER)
            for position, text in zip(positions, texts, strict=True):
                if position != pipeline.FILLER:
                    outputs[position] = text
        return outputs

    def decode_split(
        self, split: Split, data_dir: str, max_batches: int | None = None
    ) -> Iterator[Decoded]:
        """Yields the examples of a split with the model's outputs.

        A language model continues the first half of each target.

        Raises:
          FileNotFoundError: if the split has not been generated.
          ValueError: if it was made with another vocabulary.
        """
        read = self._example if self._has_inputs else self._prompted_example
        for features in pipeline.eval_dataset(
            self.problem, split, data_dir, self._hparams, max_batches
        ):
            is_filler = features["targets_length"].numpy() == 0
            given = features if self._has_inputs else _first_halves(features)
            outputs = self._decode_batch(given, is_filler)
            rows = {name: value.numpy() for name, value in features.items()}
            for row in np.flatnonzero(~is_filler):
                example = {name: values[row] for name, values in rows.items()}
                yield Decoded(*read(example), outputs[row])

    def _example(self, example: Mapping[str, np.ndarray]) -> tuple[np.ndarray, str]:
        """Returns inputs and reference of a row of a batch."""
        inputs = example["inputs"]
        spec = self._model.problems[self.problem.name]["inputs"]
        if spec.shape[0] is None:
            inputs = inputs[: example["inputs_length"]]
        return inputs, self._to_text(example["targets"])

    def _prompted_example(
        self, example: Mapping[str, np.ndarray]
    ) -> tuple[np.ndarray, str]:
        """Returns prompt and reference of a row of a batch without inputs."""
        length = int(example["targets_length"]) // 2
        targets = example["targets"]
        return targets[:length], self._continuation(targets, length)


def _first_halves(features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns prompts: the first half of the targets, rounded down."""
    lengths = features["targets_length"] // 2
    targets = features["targets"]
    is_given = tf.sequence_mask(lengths, tf.shape(targets)[1], targets.dtype)
    return {"targets": targets * is_given, "targets_length": lengths}


def load_model(output_dir: str, checkpoint_path: str | None = None) -> model_lib.Model:
    """Returns the model of a run with the variables of a checkpoint.

    If the run keeps an average of its weights, that is what they are.

    Args:
      output_dir: folder of the run.
      checkpoint_path: prefix of the checkpoint's files; the newest if None.

    Raises:
      FileNotFoundError: if there is no run or no checkpoint.
      LookupError: if the run's model or a modality is not registered.
    """
    registry.import_models()
    description = run_folder.read(output_dir)
    _check_registrations(description, output_dir)
    path = checkpoint_path or run_folder.latest_checkpoint(output_dir)
    model = registry.MODELS.get(description.model)(
        description.hparams, description.problems, name=description.model
    )
    average, parts = None, {}
    if description.hparams.ema_decay:
        average = averaging.WeightAverage(
            model.trainable_variables, description.hparams.ema_decay
        )
        parts["average"] = average
    try:
        status = tf.train.Checkpoint(model=model, **parts).restore(path)
    except tf.errors.NotFoundError:
        raise FileNotFoundError(f"There is no checkpoint '{path}'.") from None
    # Slots and counters stay behind; every variable of the model must be there.
    status.assert_existing_objects_matched().expect_partial()
    if average is not None:
        average.apply(model.trainable_variables)
    return model


def _check_registrations(
    description: run_folder.RunDescription, output_dir: str
) -> None:
    specs = [
        spec for features in description.problems.values() for spec in features.values()
    ]
    try:
        registry.MODELS.get(description.model)
        for spec in specs:
            registry.MODALITIES.get(spec.modality)
    except LookupError as error:
        if description.usr_dir is None:
            raise
        raise LookupError(
            f"{error} The run in '{output_dir}' was started with "
            f"--t2t_usr_dir={description.usr_dir}."
        ) from None
