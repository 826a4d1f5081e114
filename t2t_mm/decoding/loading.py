"""A run's folder to a model with its variables."""

import os
from typing import NamedTuple

import tensorflow as tf

from t2t_mm import averaging, registry
from t2t_mm import model as model_lib
from t2t_mm import problem as problem_lib
from t2t_mm.runs import checkpoint_choice, checkpoint_difference, run_folder


class Loaded(NamedTuple):
    """A model and where its variables are from.

    Attributes:
      model: the model.
      checkpoint: path prefix of the checkpoint that was read. It may be older than the
        newest, if that is damaged.
    """

    model: model_lib.Model
    checkpoint: str


def problem_of(
    model: model_lib.Model, problem_name: str, output_dir: str
) -> problem_lib.Problem:
    """Returns a problem of a model.

    Raises:
      LookupError: if the model in `output_dir` was not trained on it.
    """
    problem = registry.problem(problem_name)
    if problem.name not in model.problems:
        raise LookupError(
            f"The model in '{output_dir}' was not trained on {problem.name}. It "
            f"knows: {', '.join(sorted(model.problems))}."
        )
    return problem


def load_model(output_dir: str, checkpoint_path: str | None = None) -> model_lib.Model:
    """Returns the model of a run alone; see `load`."""
    return load(output_dir, checkpoint_path).model


def load(output_dir: str, checkpoint_path: str | None = None) -> Loaded:
    """Returns the model of a run with the variables of a checkpoint.

    If the run keeps an average of its weights, that is what they are.

    Args:
      output_dir: folder of the run.
      checkpoint_path: which one, see `checkpoint_choice`; the newest that is whole if
        None.

    Raises:
      FileNotFoundError: if there is no run or no checkpoint.
      LookupError: if the run's model or a modality is not registered.
      OSError: if the checkpoint is damaged.
      ValueError: if it is of another model, or of a run with other vocabularies.
    """
    registry.import_models()
    description = run_folder.read(output_dir)
    _check_registrations(description, output_dir)
    model = registry.MODELS.get(description.model)(
        description.hparams, description.problems, name=description.model
    )
    checkpoint = restore_weights(model, output_dir, checkpoint_path)
    run_folder.check_same_vocabularies(description, os.path.dirname(checkpoint))
    return Loaded(model, checkpoint)


def restore_weights(
    model: model_lib.Model, output_dir: str, checkpoint_path: str | None
) -> str:
    """Gives a model the weights of a checkpoint, or their average.

    Args:
      model: of the run.
      output_dir: folder of the run.
      checkpoint_path: which one, see `checkpoint_choice`; the newest that is whole if
        None.

    Returns:
      The path prefix of the checkpoint that was read.

    Returns:
      The prefix of the checkpoint's files.

    Raises:
      FileNotFoundError: if there is no such checkpoint.
      ValueError: if it holds another model.
    """
    average, parts = None, {}
    if decay := model.hparams.ema_decay:
        average = averaging.WeightAverage(model.trainable_variables, decay)
        parts["average"] = average
    weights = tf.train.Checkpoint(model=model, **parts)
    expected = checkpoint_difference.shapes_of(weights)

    def restore(path: str) -> None:
        found = checkpoint_difference.shapes_in(path)
        # Slots and counters stay behind; every variable of the model must be there.
        known = {name: found[name] for name in expected if name in found}
        checkpoint_difference.check_same(path, known, expected)
        weights.restore(path).expect_partial()

    path = checkpoint_choice.restore(output_dir, checkpoint_path, restore)
    if average is not None:
        average.apply(model.trainable_variables)
    return path


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
