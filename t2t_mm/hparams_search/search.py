"""The search itself; Optuna proposes values and says which trials are hopeless.

search.journal       what has been tried; a search goes on from it
search.tsv           the same for people, the best first
trials/trial-0003/   a run like any other
"""

import dataclasses
import json
import math
import os
import signal
import types
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from absl import logging
from optuna.storages import journal
from optuna.trial import FrozenTrial, TrialState

from t2t_mm import hparam_range
from t2t_mm.hparam_range import Range
from t2t_mm.hparams_search import results, trial_run
from t2t_mm.runs import folder_lock
from t2t_mm.training.watched_metric import WatchedMetric

JOURNAL_FILE = "search.journal"
_MOST_FAILURES = 3  # in a row, before a search gives up


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """What to search, and how.

    Attributes:
      ranges: values of every hyperparameter that is searched.
      objective: what is looked for.
      problems: that all trials train.
      max_trials: how many are tried, those of earlier calls included.
      prune: stop a trial at an evaluation at which it is worse than most were.
      arguments: of the trainer, but for --hparams and the folder.
      hparams: overrides that all trials have.
      seed: of what is proposed.
    """

    ranges: Mapping[str, Range]
    objective: WatchedMetric
    problems: Sequence[str]
    max_trials: int
    prune: bool
    arguments: Sequence[str]
    hparams: str
    seed: int

    def settings(self) -> dict[str, Any]:
        """Returns what must stay the same when a search goes on."""
        return {
            "ranges": {n: dataclasses.asdict(r) for n, r in self.ranges.items()},
            "objective": str(self.objective),
            "maximize": self.objective.higher_is_better,
            "hparams": self.hparams,
            "flags": " ".join(self.arguments),
        }


def run(search: Search, output_dir: str) -> str:
    """Tries until there are `max_trials`; returns a table, the best first.

    Trials that were interrupted are finished first.

    Raises:
      BlockingIOError: if another process searches in `output_dir`.
      ValueError: if another search is in `output_dir`, or trial after trial fails.
    """
    with folder_lock.held(output_dir):
        return _run(search, output_dir)


def _run(search: Search, output_dir: str) -> str:
    study = _open_study(search, output_dir)
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        for frozen in study.get_trials(states=[TrialState.RUNNING]):
            # There is no public way to go on with a trial of another process.
            trial = optuna.trial.Trial(study, frozen._trial_id)
            _try(search, study, trial, output_dir)
        while len(study.get_trials(deepcopy=False)) < search.max_trials:
            trial = study.ask(_distributions(search.ranges))
            _try(search, study, trial, output_dir)
    finally:
        signal.signal(signal.SIGTERM, previous)
    return results.format_table(_rows(search, study), search.objective)


def _interrupt(number: int, frame: types.FrameType | None) -> None:
    raise KeyboardInterrupt


def _open_study(search: Search, output_dir: str) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = journal.JournalFileBackend(os.path.join(output_dir, JOURNAL_FILE))
    storage = optuna.storages.JournalStorage(backend)
    names = optuna.get_all_study_names(storage)
    # Another seed for trials after a restart, or they would repeat the first ones.
    tried = (
        len(optuna.load_study(study_name="search", storage=storage).trials)
        if names
        else 0
    )
    study = optuna.create_study(
        storage=storage,
        study_name="search",
        load_if_exists=True,
        direction="maximize" if search.objective.higher_is_better else "minimize",
        sampler=optuna.samplers.TPESampler(seed=search.seed + tried),
        pruner=optuna.pruners.MedianPruner()
        if search.prune
        else optuna.pruners.NopPruner(),
    )
    settings = json.loads(json.dumps(search.settings()))
    recorded = study.user_attrs.get("settings", settings)
    changed = [name for name in settings if settings[name] != recorded.get(name)]
    if changed:
        lines = [f"{n}: {recorded.get(n)} -> {settings[n]}" for n in changed]
        raise ValueError(
            f"'{output_dir}' holds a search that differs from the one asked for:\n  "
            + "\n  ".join(lines)
            + "\nRepeat its settings to go on with it, or choose another --output_dir."
        )
    study.set_user_attr("settings", settings)
    return study


def _distributions(
    ranges: Mapping[str, Range],
) -> dict[str, optuna.distributions.BaseDistribution]:
    return {name: _distribution(value_range) for name, value_range in ranges.items()}


def _distribution(value_range: Range) -> optuna.distributions.BaseDistribution:
    """Returns what Optuna draws from: numbers, or positions among choices."""
    is_log = value_range.scale != hparam_range.LINEAR
    if value_range.kind == "float":
        return optuna.distributions.FloatDistribution(
            value_range.low, value_range.high, log=is_log
        )
    if value_range.kind == "int":
        return optuna.distributions.IntDistribution(
            int(value_range.low), int(value_range.high), log=is_log
        )
    count = len(value_range.choices)
    if value_range.kind == "discrete":
        return optuna.distributions.IntDistribution(0, count - 1)
    return optuna.distributions.CategoricalDistribution(range(count))


def to_values(drawn: Mapping[str, Any], ranges: Mapping[str, Range]) -> dict[str, Any]:
    """Returns the values of hyperparameters that Optuna's numbers stand for."""
    values = {}
    for name, value_range in ranges.items():
        number = drawn[name]
        if value_range.choices:
            values[name] = value_range.choices[number]
        elif value_range.scale == hparam_range.REVERSE_LOG:
            values[name] = value_range.low + value_range.high - number
        else:
            values[name] = number
    return values


def trial_folder(output_dir: str, number: int) -> str:
    """Returns the folder of a trial."""
    return os.path.join(output_dir, "trials", f"trial-{number:04d}")


def _try(
    search: Search, study: optuna.Study, trial: optuna.trial.Trial, output_dir: str
) -> None:
    """Runs a trial and records how it ended."""
    folder = trial_folder(output_dir, trial.number)
    overrides = hparam_range.to_overrides(to_values(trial.params, search.ranges))
    name = f"trial {trial.number} | {trial.number + 1} of {search.max_trials}"
    logging.info("search | %s | %s", name, overrides)
    hparams = ",".join(filter(None, (search.hparams, overrides)))
    outcome = trial_run.run(
        [*search.arguments, f"--hparams={hparams}"],
        folder,
        search.objective,
        search.problems,
        lambda step, value: _report(trial, step, value),
    )
    state = _state(outcome)
    study.tell(
        trial.number,
        outcome.value if state == TrialState.COMPLETE else None,
        state=state,
    )
    results.write(_rows(search, study), search.objective, output_dir)
    if state == TrialState.FAIL:
        _give_up_after_failures(study, folder)
    logging.info(
        "search | %s | %s%s",
        name,
        "no evaluation"
        if outcome.value is None
        else f"{search.objective} {outcome.value:.4f} at step {outcome.step}",
        {TrialState.PRUNED: " | pruned", TrialState.FAIL: " | failed"}.get(state, ""),
    )


def _report(trial: optuna.trial.Trial, step: int, value: float) -> bool:
    """Notes an evaluation; returns whether the trial is hopeless."""
    trial.report(value, step)
    return math.isnan(value) or trial.should_prune()


def _state(outcome: trial_run.Outcome) -> TrialState:
    if outcome.was_stopped:
        return TrialState.PRUNED
    is_number = outcome.value is not None and math.isfinite(outcome.value)
    return TrialState.COMPLETE if not outcome.status and is_number else TrialState.FAIL


def _give_up_after_failures(study: optuna.Study, folder: str) -> None:
    last = study.get_trials(deepcopy=False)[-_MOST_FAILURES:]
    words = trial_run.last_words(folder)
    if len(last) == _MOST_FAILURES and all(t.state == TrialState.FAIL for t in last):
        raise ValueError(
            f"{_MOST_FAILURES} trials in a row failed. The last one said, in "
            f"'{folder}/{trial_run.LOG_FILE}': {words}"
        )
    logging.warning("%s failed: %s", folder, words)


def _rows(search: Search, study: optuna.Study) -> list[results.Row]:
    return [
        _row(search, trial)
        for trial in study.get_trials(deepcopy=False)
        if trial.state != TrialState.RUNNING
    ]


def _row(search: Search, trial: FrozenTrial) -> results.Row:
    step = trial.last_step or 0
    value = trial.value
    if value is None:
        value = trial.intermediate_values.get(step)
    return results.Row(
        trial=trial.number,
        state=trial.state.name.lower(),
        step=step,
        value=value,
        hparams=to_values(trial.params, search.ranges),
    )
