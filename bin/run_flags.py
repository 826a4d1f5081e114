"""Flags that are other spellings of the fields of `RunConfig`."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from absl import flags

from t2t_mm.training import schedules
from t2t_mm.training.run_config import STRATEGIES, RunConfig

# Help texts; "Default ..." is appended unless they say so themselves.
_INTEGERS = {
    "train_steps": "Last step; a total, not steps to add to those of a checkpoint.",
    "eval_steps": "Batches per problem and evaluation; 0 for the whole dev split.",
    "eval_decode": "Batches per problem and evaluation to decode and score, as "
    "decoded_bleu and the like; 0 for none.",
    "eval_every_steps": "Steps between evaluations; 0 to evaluate at the end only.",
    "save_every_steps": "Steps between checkpoints.",
    "keep_checkpoints": "How many of the newest checkpoints to keep.",
    "eval_early_stopping_steps": "End the run when a metric on dev has not improved "
    "for so many steps; 0 for never.",
    "log_every_steps": "Steps between two lines of progress.",
    "steps_per_loop": "Most steps to make in one call, without a return to Python; "
    "worth it where a step takes a few milliseconds. All programs are traced at the "
    "start then.",
    "show_samples": "Examples of dev per problem whose outputs, pictures and attention "
    "TensorBoard shows; 0 for none.",
    "show_every_evals": "Evaluations between two times that it does.",
    "max_skipped_steps": "Steps in a row of a problem that may be skipped because "
    "something is not finite; one more stops the run.",
    "num_devices": "GPUs of each machine to use; 0 for all. Without a GPU, parts of "
    "the CPU, to try things out.",
    "seed": "Seeds initial values, dropout, mixing and the order of the data.",
}
_FLOATS = {
    "save_every_seconds": "Seconds between checkpoints, in place of "
    "--save_every_steps. Default: go by steps.",
    "keep_every_hours": "Hours between checkpoints that are kept for good, besides the "
    "newest. Default 0: none.",
    "eval_early_stopping_metric_delta": "By how much the metric must get better to "
    "have improved.",
}
_STRINGS = {
    "keep_best": "Metrics by which the best checkpoint is kept, such as "
    "'wmt_ende/accuracy,imagenet/loss'; without a problem it is the mean of all. "
    "':max' or ':min' after a name says what is better, if the name does not. "
    "Default: none.",
    "eval_early_stopping_metric": "Metric that early stopping goes by, named as for "
    "--keep_best.",
    "profile": "START:STOP, steps to profile for TensorBoard, such as 200:210. To look "
    "at it, pip install xprof. Default: none.",
}
_BOOLS = {
    "eval_early_stopping_metric_minimize": "Whether less of the metric is better. "
    "Default: as its name says.",
    "jit_compile": "Compile each step with XLA. Default: on for accelerators, off for "
    "a CPU, on which it compiles for minutes.",
}
_STRATEGY = (
    "Where to run: 'one' device, 'mirrored' over several of this machine, "
    "'multi_worker' over machines that TF_CONFIG names, or 'tpu'. The rows of a batch "
    "are dealt out; its size stays. Default: 'auto', by what there is."
)
# Tensor2Tensor's names of flags.
_OLD_NAMES = {
    "iterations_per_loop": "steps_per_loop",
    "keep_checkpoint_every_n_hours": "keep_every_hours",
    "keep_checkpoint_max": "keep_checkpoints",
    "save_checkpoints_secs": "save_every_seconds",
    "worker_gpu": "num_devices",
}
# Without effect where nothing is evaluated.
_OF_EVALUATIONS = (
    "eval_steps",
    "eval_decode",
    "eval_every_steps",
    "keep_best",
    "eval_early_stopping_steps",
    "show_samples",
    "show_every_evals",
)


def define(values: flags.FlagValues) -> None:
    """Defines a flag for every field, without a default, and Tensor2Tensor's names."""
    for kinds, define_one in (
        (_INTEGERS, flags.DEFINE_integer),
        (_FLOATS, flags.DEFINE_float),
        (_STRINGS, flags.DEFINE_string),
        (_BOOLS, flags.DEFINE_bool),
    ):
        for name, text in kinds.items():
            define_one(name, None, _with_default(name, text), flag_values=values)
    flags.DEFINE_enum("strategy", None, STRATEGIES, _STRATEGY, flag_values=values)
    for name, ours in _OLD_NAMES.items():
        flags.DEFINE_alias(name, ours, flag_values=values)


def _with_default(name: str, text: str) -> str:
    if "Default" in text:
        return text
    return f"{text} Default {getattr(RunConfig(), name)}."


def given(values: flags.FlagValues) -> dict[str, Any]:
    """Returns the fields that flags were given for."""
    names = [field.name for field in dataclasses.fields(RunConfig)]
    return {
        name: values[name].value for name in names if values[name].value is not None
    }


def check_effects(settings: Mapping[str, Any], schedule: schedules.Schedule) -> None:
    """Refuses options that others leave without effect.

    Args:
      settings: those that were given, by flags or in gin.
      schedule: what is to be done.

    Raises:
      ValueError: naming the option and what it needs.
    """
    if settings.get("save_every_seconds") and "save_every_steps" in settings:
        raise ValueError(
            "--save_every_seconds and --save_every_steps both say when to save; give "
            "one of them."
        )
    for name in settings:
        is_detail = name.startswith("eval_early_stopping_metric")
        if is_detail and not settings.get("eval_early_stopping_steps"):
            raise ValueError(
                f"--{name} has no effect without --eval_early_stopping_steps."
            )
        if name in _OF_EVALUATIONS and schedule.trains and not schedule.evaluates:
            raise ValueError(
                f"--{name} has no effect with --schedule={schedule.name}, which does "
                f"not evaluate. Leave it out, or take --schedule={schedules.DEFAULT}."
            )
