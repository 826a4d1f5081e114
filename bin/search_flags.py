"""Flags of t2t-trainer for a search, and how its trials are called."""

import importlib.util
import os
from collections.abc import Sequence

from absl import flags

from t2t_mm import config_fields, hparam, hparam_range
from t2t_mm.bin import flags as common
from t2t_mm.training import schedules, watched_metric

_MAX_TRIALS = 10
_OPTIONS = ("autotune_maximize", "autotune_max_trials", "autotune_prune")
# Flags of the search itself, or of each trial its own.
_NOT_OF_TRIALS = {
    "problems",  # another name of "problem"
    "hparams_range",
    "autotune_objective",
    *_OPTIONS,
    "hparams",
    "output_dir",
    "generate_data",
    "tmp_dir",
}


def define(values: flags.FlagValues) -> None:
    """Defines --hparams_range and those that go with it."""
    flags.DEFINE_string(
        "hparams_range",
        None,
        "Search instead of training: name of a ranged hparams set. Each trial is a run "
        "below --output_dir/trials.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "autotune_objective",
        "loss",
        "With --hparams_range: metric on dev to look for, named as for --keep_best; "
        "that of the last evaluation.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "autotune_maximize",
        None,
        "With --hparams_range: whether higher is better. Default: by the name; losses, "
        "errors and perplexities should be low.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "autotune_max_trials",
        _MAX_TRIALS,
        "With --hparams_range: number of trials, a total.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_bool(
        "autotune_prune",
        True,
        "With --hparams_range: stop a trial at an evaluation at which it is worse than "
        "half of the others were; the first five are not stopped.",
        flag_values=values,
    )


def check_unused(values: flags.FlagValues) -> None:
    """Raises `ValueError` if flags are given that need --hparams_range."""
    for name in ("autotune_objective", *_OPTIONS):
        if not values[name].using_default_value:
            raise ValueError(f"--{name} goes with --hparams_range.")


def run(
    values: flags.FlagValues,
    hparams: hparam.HParams,
    problems: Sequence[str],
    *,
    seed: int,
) -> str:
    """Searches; returns a table.

    Args:
      values: all flags of the trainer.
      hparams: what the trials start from.
      problems: that they train.
      seed: of the run.

    Raises:
      LookupError: if there is no such range.
      ValueError: if flags or ranges do not fit together, or Optuna is not installed.
    """
    _check_possible(values.schedule)
    ranges = _ranges(values, type(hparams))
    from t2t_mm.hparams_search import search  # late: it imports Optuna

    common.make_folder("output_dir", values.output_dir)
    return search.run(
        search.Search(
            ranges=ranges,
            objective=_objective(values, problems),
            problems=problems,
            max_trials=values.autotune_max_trials,
            prune=values.autotune_prune,
            arguments=trial_arguments(values),
            hparams=values.hparams,
            seed=seed,
        ),
        values.output_dir,
    )


def _objective(
    values: flags.FlagValues, problems: Sequence[str]
) -> watched_metric.WatchedMetric:
    """Returns what is looked for; a run must tell whether there is such a metric."""
    metric = watched_metric.parse_name(
        "autotune_objective",
        values.autotune_objective,
        higher_is_better=values.autotune_maximize,
    )
    if metric.problem not in (None, *problems):
        raise ValueError(
            "`autotune_objective` must be a metric of a problem that is trained: "
            f"{', '.join(problems)}; got '{values.autotune_objective}'."
        )
    return metric


def _check_possible(schedule: str) -> None:
    """Raises `ValueError` if there is something that no search goes with."""
    if schedules.parse(schedule).name != schedules.DEFAULT:
        raise ValueError(
            f"--hparams_range goes with --schedule={schedules.DEFAULT}; got {schedule}."
        )
    if os.environ.get("TF_CONFIG"):
        raise ValueError(
            "--hparams_range tries one run after the other on one machine; unset "
            "TF_CONFIG."
        )
    if importlib.util.find_spec("optuna") is None:
        raise ValueError("--hparams_range needs Optuna: pip install 't2t-mm[search]'.")


def _ranges(
    values: flags.FlagValues, hparams_cls: type
) -> dict[str, hparam_range.Range]:
    """Returns what is searched; refuses flags that would fix it."""
    ranges = hparam_range.resolve(values.hparams_range, hparams_cls)
    given = config_fields.parse_overrides(values.hparams, hparams_cls)
    if values.mixing is not None:
        given["mixing"] = values.mixing
    twice = sorted(given.keys() & ranges.keys())
    if twice:
        raise ValueError(
            f"--hparams and --mixing must leave alone what {values.hparams_range} "
            f"searches; got {', '.join(twice)}."
        )
    return ranges


def trial_arguments(values: flags.FlagValues) -> Sequence[str]:
    """Returns the command line of every trial, but for --hparams and its folder."""
    return [
        argument
        for name in sorted(values)
        if name not in _NOT_OF_TRIALS and values[name].value != values[name].default
        for argument in values[name].serialize().split("\n")
    ]
