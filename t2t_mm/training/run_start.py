"""Whether a command starts a run or goes on with one, and what it starts with."""

import dataclasses
import os
from collections.abc import Sequence

from absl import logging

from t2t_mm import (
    best_checkpoints,
    checkpoint_choice,
    checkpoint_files,
    run_folder,
)
from t2t_mm.training import (
    checkpoint,
    history,
    retention,
    run_changes,
    scope_pairs,
    warm_start,
)
from t2t_mm.training import parts as parts_lib
from t2t_mm.training.warm_start_config import WarmStartConfig

_EVENT = "warm_start"


def describe(
    asked_for: run_folder.RunDescription,
    output_dir: str,
    may_change: Sequence[str] = (),
) -> run_folder.RunDescription:
    """Returns the description of what comes of a command in its folder.

    Args:
      asked_for: that of the command alone, which holds if there is no checkpoint.
      output_dir: folder of the run.
      may_change: hparams that may differ from those of the run so far.

    Raises:
      ValueError: if the command does not fit the run that is there.
    """
    run_changes.check_changeable(may_change)
    if not checkpoint_files.are_in(output_dir):
        _check_no_best_ones(output_dir)
        return asked_for
    if not run_folder.exists(output_dir):
        raise ValueError(
            f"'{output_dir}' holds checkpoints but no {run_folder.CONFIG_FILE}: they "
            "are of another program. Choose another --output_dir."
        )
    return run_changes.go_on(
        run_folder.read(output_dir),
        asked_for,
        output_dir,
        step=checkpoint_files.step_of(checkpoint_choice.newest(output_dir)),
        may_change=may_change,
    )


def _check_no_best_ones(output_dir: str) -> None:
    if best_checkpoints.read_all(output_dir):
        raise ValueError(
            f"'{output_dir}/{best_checkpoints.FOLDER}' has the best checkpoints of an "
            "earlier run, whose other ones are gone. Move it away, or choose another "
            "--output_dir."
        )


def claim(
    parts: parts_lib.Parts,
    config: WarmStartConfig | None,
    *,
    data_dir: str,
    output_dir: str,
) -> run_folder.RunDescription:
    """Writes what a run is to its folder, and what it begins with if that is a run.

    Args:
      parts: of the run; made for the folder.
      config: of a warm start, or None.
      data_dir: folder of the vocabularies.
      output_dir: folder of the run.

    Returns:
      What is written.

    Raises:
      ValueError: if the run cannot go on, or cannot begin like that.
    """
    if checkpoint_files.are_in(output_dir):
        _check_goes_on(config, run_folder.read(output_dir), output_dir)
        if parts.description != run_folder.read(output_dir):
            run_changes.log(parts.description.history[-1])
            run_folder.write(parts.description, output_dir, data_dir)
        return parts.description
    description, start = parts.description, None
    if config is not None:
        start = warm_start.WarmStart(config)
        start.plan(parts.model, scope_pairs.Run(description, data_dir))
        event = {"step": start.first_step, _EVENT: os.path.abspath(config.path)}
        description = dataclasses.replace(description, history=(event,))
    run_folder.write(description, output_dir, data_dir)
    history.write_hparams(parts.model.hparams, output_dir)
    if start is not None:
        _take_over_weights(start, parts, output_dir)
    return description


def _take_over_weights(
    start: warm_start.WarmStart, parts: parts_lib.Parts, output_dir: str
) -> None:
    """Writes the first checkpoint of a run, with the weights of another."""
    start.apply(parts.optimizer, parts.average)
    report = start.report()
    for line in report.lines():
        logging.info("%s", line)
    report.write(output_dir)
    state = checkpoint.RunState(parts.model.problems)
    state.step = start.first_step
    checkpoint.Checkpoints(
        parts.model,
        parts.optimizer,
        state,
        output_dir,
        keep=retention.Retention(newest=1),
        average=parts.average,
    ).save()


def _check_goes_on(
    config: WarmStartConfig | None,
    before: run_folder.RunDescription,
    output_dir: str,
) -> None:
    """Raises `ValueError` unless a run can go on, from where it began."""
    if before.weights_only:
        raise ValueError(
            f"'{output_dir}' must hold the whole state of a run to go on with it, and "
            "has weights only. Start a new run from it: "
            f"--warm_start_from={output_dir} with another --output_dir."
        )
    if config is None:
        return
    starts = [event[_EVENT] for event in before.history if _EVENT in event]
    if starts != [os.path.abspath(config.path)]:
        origin = f"the weights of '{starts[0]}'" if starts else "initial values"
        raise ValueError(
            f"--warm_start_from={config.path} must be where the run in '{output_dir}' "
            f"began; it began with {origin} and has checkpoints. Leave the flag out "
            "to go on with it, or choose another --output_dir."
        )
    logging.info(
        "%s has a checkpoint: the run goes on from it, and the warm start from %s is "
        "not repeated.",
        output_dir,
        config.path,
    )
