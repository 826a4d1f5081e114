"""From a trained model to texts, classes and whatever else modalities predict."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from t2t_mm import model as model_lib
from t2t_mm import problem as problem_lib
from t2t_mm import registry, run_folder
from t2t_mm.data import encoding, pipeline, vocabulary
from t2t_mm.decoding import greedy
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.features import Split


class Decoded(NamedTuple):
    """One example of a split and what the model makes of it.

    Attributes:
      inputs: what the batch holds: ids, pixels or a spectrogram, without padding of
        the batch for ids and frames.
      reference: the true target as text, such as the name of a class.
      output: the model's.
    """

    inputs: np.ndarray
    reference: str
    output: str


class Decoder:
    """Turns inputs of a problem into outputs with a trained model.

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
        signature = {
            name: spec
            for name, spec in model.signature(problem.name).items()
            if not name.startswith("targets")
        }
        self._predict = tf.function(self._predict_targets, input_signature=[signature])

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

    def _predict_targets(self, features: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Returns ids `[batch, length]` int32, or what the modality predicts."""
        model, name = self._model, self.problem.name
        if not model.is_autoregressive(name):
            return model.predict(features, problem=name)
        encoded = model.encode(features, problem=name).embedded
        max_length = tf.shape(encoded.values)[1] + self._config.extra_length
        state = model.init_state(
            encoded, features[model_lib.SPACE_ID], max_length=max_length
        )
        return greedy.greedy_search(
            lambda ids, state, position: model.decode_step(
                ids, state, position, problem=name
            ),
            state,
            is_filler=features["inputs_length"] == 0,
            max_length=max_length,
        )

    def _decode_batch(self, features: Mapping[str, tf.Tensor]) -> list[str]:
        inputs = {k: v for k, v in features.items() if not k.startswith("targets")}
        prepared = self._model.prepare(inputs, self.problem.name)
        return [self._to_text(row) for row in self._predict(prepared).numpy()]

    def _to_text(self, row: np.ndarray) -> str:
        return self.problem.decode_targets(row.tolist(), self._vocab_dir)

    def decode(self, inputs: Sequence[Any]) -> list[str]:
        """Returns one output for every raw input, in their order.

        Args:
          inputs: what `problem.read_input` returns: texts, images or waveforms.
        """
        outputs = [""] * len(inputs)
        batches = encoding.encode_batch(
            self.problem, inputs, self._vocab_dir, self._hparams
        )
        for positions, features in batches:
            texts = self._decode_batch(features)
            for position, text in zip(positions, texts, strict=True):
                if position != pipeline.FILLER:
                    outputs[position] = text
        return outputs

    def decode_split(
        self, split: Split, data_dir: str, max_batches: int | None = None
    ) -> Iterator[Decoded]:
        """Yields the examples of a split with the model's outputs.

        Raises:
          FileNotFoundError: if the split has not been generated.
          ValueError: if it was made with another vocabulary.
        """
        is_fixed = (
            self._model.problems[self.problem.name]["inputs"].shape[0] is not None
        )
        for features in pipeline.eval_dataset(
            self.problem, split, data_dir, self._hparams, max_batches
        ):
            rows = {name: value.numpy() for name, value in features.items()}
            for row, output in enumerate(self._decode_batch(features)):
                length = rows["inputs_length"][row]
                if length == 0:
                    continue
                yield Decoded(
                    rows["inputs"][row] if is_fixed else rows["inputs"][row][:length],
                    self._to_text(rows["targets"][row]),
                    output,
                )


def load_model(output_dir: str, checkpoint_path: str | None = None) -> model_lib.Model:
    """Returns the model of a run with the variables of a checkpoint.

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
    try:
        status = tf.train.Checkpoint(model=model).restore(path)
    except tf.errors.NotFoundError:
        raise FileNotFoundError(f"There is no checkpoint '{path}'.") from None
    # Slots and counters stay behind; every variable of the model must be there.
    status.assert_existing_objects_matched().expect_partial()
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
