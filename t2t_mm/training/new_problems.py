"""Problems that a run trains and its checkpoint does not know yet."""

from collections.abc import Iterable, Mapping

import tensorflow as tf

from t2t_mm import averaging, registry
from t2t_mm import model as model_lib
from t2t_mm.training import optimizers, stored_checkpoint

_MOST_NAMES = 10  # in a message


def check_that_rest_is_there(
    stored: stored_checkpoint.StoredCheckpoint,
    model: model_lib.Model,
    optimizer: optimizers.Optimizer,
    average: averaging.WeightAverage | None,
) -> None:
    """Checks that a checkpoint has all of a model but nets of new problems.

    Args:
      stored: the checkpoint; a problem without counters in it is new.
      model: of its problems and the new ones.
      optimizer: of the model.
      average: of the model, or None.

    Raises:
      ValueError: naming variables that are missing, and those that the model lacks.
    """
    new = [name for name in model.problems if name not in stored.problems]
    scopes = tuple(f"{scope}/" for scope in _scopes(model, new))
    old = [
        variable
        for variable in model.variables
        if not stored_checkpoint.inner_name(variable).startswith(scopes)
    ]
    missing = [*_missing(stored, old, optimizer, average)]
    names = map(stored_checkpoint.inner_name, model.variables)
    unknown = [*(set(stored.weights) - set(names)), *_gone(stored, model)]
    if missing or unknown:
        raise ValueError(
            f"'{stored.path}' must have the variables of the model, apart from nets of "
            f"{', '.join(new)}. Missing: {_some(missing)}. Of another model: "
            f"{_some(unknown)}."
        )


def _scopes(model: model_lib.Model, problems: Iterable[str]) -> set[str]:
    """Returns the scopes of the modalities of problems."""
    return {
        registry.MODALITIES.get(spec.modality).scope(spec)
        for problem in problems
        for spec in model.problems[problem].values()
    }


def _missing(
    stored: stored_checkpoint.StoredCheckpoint,
    variables: Iterable[tf.Variable],
    optimizer: optimizers.Optimizer,
    average: averaging.WeightAverage | None,
) -> Iterable[str]:
    for variable in variables:
        name = stored_checkpoint.inner_name(variable)
        key = stored_checkpoint.inner_key(variable)
        if name not in stored.weights:
            yield name
        slots: Mapping[str, str] = stored.slots.get(key, {})
        yield from (f"{name} ({s})" for s in optimizer.slots(variable).keys() - slots)
        if average is not None and variable.trainable and key not in stored.averages:
            yield f"{name} (average)"


def _gone(
    stored: stored_checkpoint.StoredCheckpoint, model: model_lib.Model
) -> Iterable[str]:
    return (name for name in stored.problems if name not in model.problems)


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    rest = len(listed) - _MOST_NAMES
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(listed[:_MOST_NAMES]) + more if listed else "none"
