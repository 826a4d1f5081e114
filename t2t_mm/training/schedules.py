"""What a call of the trainer does: its schedules, by the names that T2T gave them."""

import contextlib
import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from t2t_mm.features import Split
from t2t_mm.runs import folder_lock
from t2t_mm.training.run_config import RunConfig
from t2t_mm.training.warm_start_config import WarmStartConfig

DEFAULT = "train_and_evaluate"
SCHEDULES = {
    "train_and_evaluate": "train, and evaluate every eval_every_steps and at the end",
    "train": "train without evaluating",
    "evaluate": "evaluate the newest checkpoint once",
    "continuous_eval": "evaluate every checkpoint that another process writes",
    "test": "try a step with the largest batch of every problem; write nothing",
    "preflight": "say how much memory the run will need; write nothing",
}
# Names of Tensor2Tensor: what they are here, and the split if not that of the flags.
_OTHER_NAMES: Mapping[str, tuple[str, Split | None]] = {
    "continuous_train_and_eval": ("train_and_evaluate", None),
    "evaluate_on_train_data": ("evaluate", Split.TRAIN),
    "continuous_eval_on_train_data": ("continuous_eval", Split.TRAIN),
    "predict_memory": ("preflight", None),
}
_ELSEWHERE = {
    "decode": "t2t-decoder decodes.",
    "run_std_server": "There are no parameter servers.",
    "train_eval_and_decode": "train_and_evaluate shows decoded samples in TensorBoard.",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """What to do.

    Attributes:
      name: one of `SCHEDULES`.
      eval_split: what the schedules that only evaluate read.
      timeout_minutes: how long continuous_eval waits for a checkpoint; below 0 for
        ever.
    """

    name: str = DEFAULT
    eval_split: Split = Split.EVAL
    timeout_minutes: float = 240.0

    @property
    def trains(self) -> bool:
        """Whether it writes checkpoints."""
        return self.name in ("train", DEFAULT)

    @property
    def evaluates(self) -> bool:
        """Whether it evaluates more than a batch of each problem."""
        return self.name in (DEFAULT, "evaluate", "continuous_eval")

    @property
    def tries(self) -> bool:
        """Whether it says what a run would do, and writes nothing."""
        return self.name in ("test", "preflight")


def parse(
    name: str, *, use_test_set: bool = False, timeout_minutes: float | None = None
) -> Schedule:
    """Returns the schedule of a name, which may be one of Tensor2Tensor's.

    Args:
      name: value of --schedule.
      use_test_set: evaluate the test split.
      timeout_minutes: how long continuous_eval waits for a checkpoint; None for the
        default.

    Raises:
      LookupError: if there is no such schedule.
      ValueError: if an option is given that has no effect on the schedule, or the test
        split to one that trains.
    """
    known, split = _OTHER_NAMES.get(name, (name, None))
    if known not in SCHEDULES:
        raise LookupError(_unknown(name))
    if use_test_set and (known not in ("evaluate", "continuous_eval") or split):
        raise ValueError(
            "--eval_use_test_set goes with --schedule=evaluate or continuous_eval; got "
            f"{name}. What is looked at during training is dev: a run that was chosen "
            "by its results on test says nothing about new data."
        )
    if timeout_minutes is not None and known != "continuous_eval":
        raise ValueError(
            f"--eval_timeout_mins goes with --schedule=continuous_eval; got {name}."
        )
    split = Split.TEST if use_test_set else split or Split.EVAL
    schedule = Schedule(name=known, eval_split=split)
    if timeout_minutes is None:
        return schedule
    return dataclasses.replace(schedule, timeout_minutes=timeout_minutes)


def _unknown(name: str) -> str:
    for beginning, where in _ELSEWHERE.items():
        if name.removeprefix("continuous_").startswith(beginning):
            return f"There is no --schedule={name}. {where}"
    close = difflib.get_close_matches(name, [*SCHEDULES, *_OTHER_NAMES], 1, 0.5)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    return f"No schedule is named '{name}'. {hint}There are: {', '.join(SCHEDULES)}."


def run(
    schedule: Schedule,
    *,
    config: RunConfig,
    output_dir: str,
    warm_start: WarmStartConfig | None = None,
    distribution: Any = None,
    **settings: Any,
) -> str:
    """Does what a schedule says.

    Args:
      schedule: what to do.
      config: how to run.
      output_dir: folder of the run.
      warm_start: what a run begins with of another, or None. What only evaluates takes
        none.
      distribution: a `Distribution`, where to train; None for one device.
      **settings: the other arguments of `preparation.prepare`.

    Returns:
      What a person or a pipe reads at the end; empty if a signal stopped it, or if it
      is for another worker to say.

    Raises:
      BlockingIOError: if another trainer is at work in the folder.
    """
    if schedule.trains:
        return _train(
            schedule,
            config=config,
            output_dir=output_dir,
            warm_start=warm_start,
            distribution=distribution,
            **settings,
        )
    if schedule.tries:
        return _try(
            schedule,
            config=config,
            output_dir=output_dir,
            warm_start=warm_start,
            **settings,
        )
    return _evaluate(schedule, config=config, output_dir=output_dir, **settings)


def _train(
    schedule: Schedule,
    *,
    config: RunConfig,
    output_dir: str,
    distribution: Any,
    **settings: Any,
) -> str:
    # Late: they import TensorFlow.
    from t2t_mm.training import distribution as distribution_lib
    from t2t_mm.training import evaluation, experiment

    if not schedule.evaluates:
        config = dataclasses.replace(config, eval_every_steps=0)
    where = distribution or distribution_lib.Distribution()
    lock = folder_lock.held(output_dir) if where.is_chief else contextlib.nullcontext()
    with where.naming_lost_workers(), lock:
        trainer = experiment.build(
            config=config, output_dir=output_dir, distribution=where, **settings
        )
        if not schedule.evaluates:
            trainer.train()
            return ""
        results = trainer.train_and_evaluate()
    says = bool(results) and where.is_chief
    return evaluation.format_table(results) if says else ""


def _try(
    schedule: Schedule,
    *,
    config: RunConfig,
    output_dir: str,
    warm_start: WarmStartConfig | None,
    **settings: Any,
) -> str:
    # Late: they import TensorFlow.
    from t2t_mm.training import memory, preflight, preparation, run_start, trial

    if schedule.name == "test":
        config = dataclasses.replace(config, eval_steps=1)
    parts = preparation.prepare(
        config=config, output_dir=output_dir, warm_start=warm_start, **settings
    )
    if warm_start is not None:
        run_start.plan_weights(
            warm_start, parts, data_dir=settings["data_dir"], output_dir=output_dir
        )
    rows = preflight.estimate(parts)
    needed = preflight.state_and_program(parts)
    if schedule.name == "test":
        rows = trial.run(parts, rows)
    optimizer = parts.model.hparams.optimizer
    return preflight.report(optimizer, needed, rows, memory.device())


def _evaluate(
    schedule: Schedule, *, config: RunConfig, output_dir: str, **settings: Any
) -> str:
    # Late: they import TensorFlow.
    from t2t_mm.training import checkpoint_evaluation, evaluation, preparation

    parts = preparation.prepare(config=config, output_dir=output_dir, **settings)
    evaluations = checkpoint_evaluation.CheckpointEvaluations(
        parts, output_dir, schedule.eval_split
    )
    if schedule.name == "evaluate":
        results = evaluations.evaluate_newest()
    else:
        results = evaluations.watch(config.train_steps, schedule.timeout_minutes)
    return evaluation.format_table(results) if results else ""
