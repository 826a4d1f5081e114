"""Whether a command starts a run or goes on with one, and what it starts with."""

import dataclasses
import os
from collections.abc import Sequence

from absl import logging

from t2t_mm.runs import (
    best_checkpoints,
    checkpoint_choice,
    checkpoint_files,
    run_folder,
)
from t2t_mm.training import (
    checkpoint,
    retention,
    run_changes,
    scope_pairs,
    warm_start,
    warm_start_report,
)
from t2t_mm.training import parts as parts_lib
from t2t_mm.training.warm_start_config import WarmStartConfig

_EVENT = "warm_start"


def describe(
    asked_for: run_folder.RunDescription,
    output_dir: str,
    may_change: Sequence[str],
    config: WarmStartConfig | None,
) -> run_folder.RunDescription:
    """Returns the description of what comes of a command in its folder.

    Args:
      asked_for: that of the command alone, which holds if there is no checkpoint.
      output_dir: folder of the run.
      may_change: hparams that may differ from those of the run so far.
      config: of a warm start, or None.

    Raises:
      ValueError: if the command does not fit the run that is there.
    """
    run_changes.check_changeable(may_change)
    if not checkpoint_files.are_in(output_dir):
        _check_no_best_ones(output_dir)
        if config is None:
            return asked_for
        event = {"step": 0, _EVENT: os.path.abspath(config.path)}
        return dataclasses.replace(asked_for, history=(event,))
    if not run_folder.exists(output_dir):
        raise ValueError(
            f"'{output_dir}' holds checkpoints but no {run_folder.CONFIG_FILE}: they "
            "are of another program. Choose another --output_dir."
        )
    before = run_folder.read(output_dir)
    if config is not None:
        _check_not_another(config, before, output_dir)
    return run_changes.go_on(
        before,
        asked_for,
        output_dir,
        step=checkpoint_files.step_of(checkpoint_choice.newest(output_dir)),
        may_change=may_change,
    )


def check_fits(description: run_folder.RunDescription, output_dir: str) -> None:
    """Raises `ValueError` if a folder has checkpoints with other variables."""
    describe(description, output_dir, tuple(run_changes.CHANGEABLE), None)


def write(
    description: run_folder.RunDescription, output_dir: str, data_dir: str
) -> None:
    """Describes the run in its folder, and says what is not as it was.

    Raises:
      ValueError: if the folder has weights only, with which no run can go on.
    """
    if description.weights_only:
        raise ValueError(
            f"'{output_dir}' must hold the whole state of a run to go on with it, and "
            "has weights only. Start a new run from it: "
            f"--warm_start_from={output_dir} with another --output_dir."
        )
    if checkpoint_files.are_in(output_dir):
        known = len(run_folder.read(output_dir).history)
        for event in description.history[known:]:
            run_changes.log(event)
    run_folder.write(description, output_dir, data_dir)


def _check_no_best_ones(output_dir: str) -> None:
    if best_checkpoints.read_all(output_dir):
        raise ValueError(
            f"'{output_dir}/{best_checkpoints.FOLDER}' has the best checkpoints of an "
            "earlier run, whose other ones are gone. Move it away, or choose another "
            "--output_dir."
        )


def _check_not_another(
    config: WarmStartConfig, before: run_folder.RunDescription, output_dir: str
) -> None:
    """Says that a warm start is not repeated, or raises if it was another."""
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


def plan_weights(
    config: WarmStartConfig, parts: parts_lib.Parts, *, data_dir: str, output_dir: str
) -> None:
    """Logs what a run would begin with of another, and changes nothing.

    Args:
      config: what to take over.
      parts: of the run, with initial values.
      data_dir: folder of the vocabularies.
      output_dir: folder of the run; nothing is planned if it has a checkpoint.

    Raises:
      ValueError: if it cannot be taken over.
    """
    if not checkpoint_files.are_in(output_dir):
        _log_report(_plan(config, parts, data_dir))


def take_over_weights(
    config: WarmStartConfig, parts: parts_lib.Parts, *, data_dir: str, output_dir: str
) -> None:
    """Writes the first checkpoint of a run, with the weights of another.

    Args:
      config: what to take over.
      parts: of the run, with initial values.
      data_dir: folder of the vocabularies.
      output_dir: folder of the run; nothing is done if it has a checkpoint.

    Raises:
      ValueError: if it cannot be taken over.
    """
    if checkpoint_files.are_in(output_dir):
        return
    start = _plan(config, parts, data_dir)
    start.apply(parts.optimizer, parts.average)
    _log_report(start).write(output_dir)
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


def _plan(
    config: WarmStartConfig, parts: parts_lib.Parts, data_dir: str
) -> warm_start.WarmStart:
    start = warm_start.WarmStart(config)
    start.plan(parts.model, scope_pairs.Run(parts.description, data_dir))
    start.check_optimizer(parts.optimizer)
    return start


def _log_report(start: warm_start.WarmStart) -> warm_start_report.Report:
    report = start.report()
    for line in report.lines():
        logging.info("%s", line)
    return report
