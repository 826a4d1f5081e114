"""Cutting the model of some problems out of a joint one.

The result is the folder of a run: it can be decoded, and trained on if it has all of
its state. The body is whole; what falls away are nets that other problems use alone.
"""

import dataclasses
import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from t2t_mm import averaging, hparam, registry
from t2t_mm import model as model_lib
from t2t_mm.data import mixing, vocabulary
from t2t_mm.runs import checkpoint_choice, checkpoint_files, run_folder
from t2t_mm.training import checkpoint, learning_rate, optimizers, retention


class Size(NamedTuple):
    """How large a model is.

    Attributes:
      parameters: numbers in its trained variables.
      bytes: size of the files of a checkpoint.
    """

    parameters: int
    bytes: int


def extract(
    output_dir: str,
    problem_names: Sequence[str],
    to_dir: str,
    *,
    weights_only: bool = False,
    choice: str | None = None,
) -> tuple[Size, Size]:
    """Writes the run of some problems of a joint run.

    Args:
      output_dir: folder of the joint run.
      problem_names: problems of it.
      to_dir: folder of the new run; made if need be.
      weights_only: leave the state of the optimizer out, and averages take the place of
        weights: the folder is for decoding, and for warm starts.
      choice: which checkpoint, see `checkpoint_choice`; the newest if None.

    Returns:
      The sizes before and after.

    Raises:
      FileNotFoundError: if there is no run or no checkpoint.
      LookupError: if the run has no such problem.
      ValueError: if there is a run in `to_dir`.
    """
    registry.import_models()
    joint = run_folder.read(output_dir)
    path = checkpoint_choice.newest(output_dir)
    if choice is not None:
        path = checkpoint_choice.find(output_dir, choice)
    _check(joint, output_dir, problem_names, to_dir)
    part = _describe_part(joint, problem_names, weights_only=weights_only)
    whole = _make(joint)
    before = Size(_count(whole), _file_size(path))
    net = _make(part)
    part = dataclasses.replace(part, hparams=_restrict_factors(part.hparams, net))
    os.makedirs(to_dir, exist_ok=True)
    factors = part.hparams.learning_rate_factors
    saved = _save(net, joint, factors, path, to_dir, weights_only=weights_only)
    event = {"step": saved, "extracted_from": os.path.abspath(path)}
    part = dataclasses.replace(part, history=(*joint.history, event))
    run_folder.write(part, to_dir, output_dir)
    after = Size(_count(net), _file_size(checkpoint_choice.newest(to_dir)))
    return before, after


def _check(
    joint: run_folder.RunDescription,
    output_dir: str,
    problem_names: Sequence[str],
    to_dir: str,
) -> None:
    if unknown := [name for name in problem_names if name not in joint.problems]:
        raise LookupError(
            f"The run in '{output_dir}' does not know {', '.join(unknown)}. It knows "
            f"{', '.join(sorted(joint.problems))}."
        )
    if run_folder.exists(to_dir) or checkpoint_files.are_in(to_dir):
        raise ValueError(f"--to must be a folder without a run; '{to_dir}' has one.")
    if joint.weights_only:
        raise ValueError(
            f"'{output_dir}' must have the whole state of a run; it has weights only."
        )


def _describe_part(
    joint: run_folder.RunDescription,
    problem_names: Sequence[str],
    *,
    weights_only: bool,
) -> run_folder.RunDescription:
    problems = {name: joint.problems[name] for name in problem_names}
    files = set()
    for name, specs in problems.items():
        entry = registry.problem(name)
        vocabulary.choose_as_trained(entry, specs)
        files |= set(entry.vocabulary_files)
    names = {spec.vocabulary for specs in problems.values() for spec in specs.values()}
    hparams = restrict_hparams(joint.hparams, problem_names)
    if weights_only:
        hparams = dataclasses.replace(hparams, ema_decay=0.0)
    return dataclasses.replace(
        joint,
        hparams=hparams,
        problems=problems,
        vocabularies={f: v for f, v in joint.vocabularies.items() if f in files},
        classes={c: v for c, v in joint.classes.items() if c in names},
        retired=(),
        weights_only=weights_only,
    )


def restrict_hparams(
    hparams: hparam.HParams, problem_names: Sequence[str]
) -> hparam.HParams:
    """Returns hparams without what they say of other problems."""
    changes: dict[str, Any] = {"mixing": mixing.restrict(hparams.mixing, problem_names)}
    for field in (
        "problem_batch_sizes",
        "problem_learning_rates",
        "problem_loss_weights",
    ):
        items = getattr(hparams, field).split(",")
        kept = [i for i in items if i.rpartition(":")[0].strip() in problem_names]
        changes[field] = ",".join(kept)
    return dataclasses.replace(hparams, **changes)


def _restrict_factors(hparams: hparam.HParams, net: model_lib.Model) -> hparam.HParams:
    """Returns hparams without the learning rates of variables that fall away."""
    names = [variable.name for variable in net.trainable_variables]
    kept = learning_rate.restrict_factors(hparams.learning_rate_factors, names)
    return dataclasses.replace(hparams, learning_rate_factors=kept)


def _make(description: run_folder.RunDescription) -> model_lib.Model:
    cls = registry.MODELS.get(description.model)
    return cls(description.hparams, description.problems, name=description.model)


def _save(
    net: model_lib.Model,
    joint: run_folder.RunDescription,
    rate_factors: str,
    path: str,
    to_dir: str,
    *,
    weights_only: bool,
) -> int:
    """Fills the variables of a part and writes its checkpoint; returns the step."""
    names = [variable.name for variable in net.trainable_variables]
    factors = learning_rate.variable_factors(rate_factors, names)
    trained = [v for v in net.trainable_variables if factors[v.name] > 0.0]
    average = None
    if joint.hparams.ema_decay:
        decay = joint.hparams.ema_decay
        average = averaging.WeightAverage(net.trainable_variables, decay)
    state = checkpoint.RunState(net.problems)
    optimizer = optimizers.make_optimizer(trained, joint.hparams)
    keep = retention.Retention(newest=1)
    whole = checkpoint.Checkpoints(
        net, optimizer, state, to_dir, keep=keep, average=average
    )
    whole.restore_part(path)
    if not weights_only:
        whole.save()
        return state.step
    if average is not None:
        average.apply(net.trainable_variables)
    nothing = optimizers.make_optimizer([], joint.hparams)
    checkpoint.Checkpoints(net, nothing, state, to_dir, keep=keep).save()
    return state.step


def _count(net: model_lib.Model) -> int:
    return sum(math.prod(variable.shape) for variable in net.trainable_variables)


def _file_size(path: str) -> int:
    return sum(map(os.path.getsize, checkpoint_files.files(path)))
