"""t2t-trainer: trains one model on one or more problems."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from t2t_mm import gin_settings, hparam, registry
from t2t_mm.bin import flags as common
from t2t_mm.bin import search_flags, t2t_datagen, warm_start_flags
from t2t_mm.training import schedules
from t2t_mm.training.run_config import STRATEGIES, RunConfig
from t2t_mm.training.warm_start_config import WarmStartConfig

USAGE = """
Trains one model on one or more problems and evaluates it on their dev splits:

  t2t-trainer --model=multimodel --hparams_set=multimodel_tiny \\
      --problems=miniworld_ende,miniworld_class --data_dir=data --output_dir=run \\
      --train_steps=2000

Make the data first, with t2t-datagen. Every step trains one problem, drawn as --mixing
says. Ctrl-C saves and stops; the same command goes on from there.
"""

# Flags that are other spellings of fields of RunConfig.
_RUN_FLAGS = (
    "train_steps",
    "eval_steps",
    "eval_decode",
    "eval_every_steps",
    "save_every_steps",
    "save_every_seconds",
    "keep_checkpoints",
    "keep_every_hours",
    "keep_best",
    "eval_early_stopping_steps",
    "eval_early_stopping_metric",
    "eval_early_stopping_metric_delta",
    "eval_early_stopping_metric_minimize",
    "log_every_steps",
    "show_samples",
    "show_every_evals",
    "profile",
    "max_skipped_steps",
    "jit_compile",
    "strategy",
    "num_devices",
    "seed",
)

# Tensor2Tensor's names of flags.
_OLD_NAMES = {
    "keep_checkpoint_every_n_hours": "keep_every_hours",
    "keep_checkpoint_max": "keep_checkpoints",
    "save_checkpoints_secs": "save_every_seconds",
    "worker_gpu": "num_devices",
}


def define_flags() -> flags.FlagValues:
    """Returns the flags of the program."""
    values = flags.FlagValues()
    common.define_problem(values)
    common.define_data_dir(values)
    common.define_output_dir(values)
    common.define_usr_dir(values)
    common.define_debug(values)
    common.define_tensorflow_logs(values)
    flags.DEFINE_string("model", "multimodel", "Name of the model.", flag_values=values)
    flags.DEFINE_string(
        "hparams_set",
        None,
        "Name of the hparams set to start from, such as multimodel_base.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "hparams",
        "",
        "Overrides of the set: 'hidden_size=256,kernel_sizes=(3,3,15,15)'.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "gin_file",
        [],
        "Gin file with overrides; several are read in order.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "gin_bindings",
        [],
        "Gin binding such as 'multimodel_tiny.dropout = 0.2' or 'RunConfig.seed = 1'.",
        flag_values=values,
    )
    _define_run_flags(values)
    _define_schedule(values)
    search_flags.define(values)
    warm_start_flags.define(values)
    return values


def _define_schedule(values: flags.FlagValues) -> None:
    listed = "; ".join(f"{name}: {text}" for name, text in schedules.SCHEDULES.items())
    flags.DEFINE_string(
        "schedule",
        schedules.DEFAULT,
        f"What to do. {listed}. Most of Tensor2Tensor's names are known too.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "eval_use_test_set",
        False,
        "With --schedule=evaluate or continuous_eval: read test in place of dev.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "eval_timeout_mins",
        None,
        "Minutes that continuous_eval waits for a checkpoint; -1 for ever. Default "
        f"{schedules.Schedule().timeout_minutes:g}.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "generate_data",
        False,
        "Make the data first, as t2t-datagen does; what is there is left alone.",
        flag_values=values,
    )
    common.define_tmp_dir(values)


def _define_run_flags(values: flags.FlagValues) -> None:
    defaults = RunConfig()
    steps = {
        "train_steps": "Last step; a total, not steps to add to those of a checkpoint.",
        "eval_steps": "Batches per problem and evaluation; 0 for the whole dev split.",
        "eval_decode": "Batches per problem and evaluation to decode and score, as "
        "decoded_bleu and the like; 0 for none.",
        "eval_every_steps": "Steps between evaluations; 0 to evaluate at the end only.",
        "save_every_steps": "Steps between checkpoints.",
        "keep_checkpoints": "How many of the newest checkpoints to keep.",
        "eval_early_stopping_steps": "End the run when a metric on dev has not "
        "improved for so many steps; 0 for never.",
        "log_every_steps": "Steps between two lines of progress.",
        "show_samples": "Examples of dev per problem whose outputs, pictures and "
        "attention TensorBoard shows; 0 for none.",
        "show_every_evals": "Evaluations between two times that it does.",
        "max_skipped_steps": "Steps in a row of a problem that may be skipped because "
        "something is not finite; one more stops the run.",
        "num_devices": "GPUs of each machine to use; 0 for all. Without a GPU, parts "
        "of the CPU, to try things out.",
        "seed": "Seeds initial values, dropout, mixing and the order of the data.",
    }
    for name, text in steps.items():
        text = f"{text} Default {getattr(defaults, name)}."
        flags.DEFINE_integer(name, None, text, flag_values=values)
    _define_keeping(values, defaults)
    flags.DEFINE_string(
        "mixing",
        None,
        "How often each problem is drawn: 'proportional' (to its number of examples), "
        "'equal', 'temperature:2', 'capped:9000', weights 'wmt_ende:3,imagenet:1', a "
        "schedule 'step @0 a=1 b=1 @5000 b=1', or 'adaptive' by dev losses. Default: "
        "that of the hparams set.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "profile",
        None,
        "START:STOP, steps to profile for TensorBoard, such as 200:210. To look at it, "
        "pip install xprof.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "jit_compile",
        None,
        "Compile each step with XLA. Default: on for accelerators, off for a CPU, on "
        "which it compiles for minutes.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "strategy",
        None,
        STRATEGIES,
        "Where to run: 'one' device, 'mirrored' over several of this machine, "
        "'multi_worker' over machines that TF_CONFIG names, or 'tpu'. The rows of a "
        "batch are dealt out; its size stays. Default: 'auto', by what there is.",
        flag_values=values,
    )


def _define_keeping(values: flags.FlagValues, defaults: RunConfig) -> None:
    flags.DEFINE_float(
        "save_every_seconds",
        None,
        "Seconds between checkpoints, in place of --save_every_steps.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "keep_every_hours",
        None,
        "Hours between checkpoints that are kept for good, besides the newest. Default "
        "0: none.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "keep_best",
        None,
        "Metrics by which the best checkpoint is kept, such as "
        "'wmt_ende/accuracy,imagenet/loss'; without a problem it is the mean of all. "
        "':max' or ':min' after a name says what is better, if the name does not.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "eval_early_stopping_metric",
        None,
        "Metric that early stopping goes by, named as for --keep_best. Default "
        f"{defaults.eval_early_stopping_metric}.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "eval_early_stopping_metric_delta",
        None,
        "By how much the metric must get better to have improved. Default "
        f"{defaults.eval_early_stopping_metric_delta}.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "eval_early_stopping_metric_minimize",
        None,
        "Whether less of the metric is better. Default: as its name says.",
        flag_values=values,
    )
    for name, ours in _OLD_NAMES.items():
        flags.DEFINE_alias(name, ours, flag_values=values)


def main(argv: Sequence[str]) -> None:
    """Parses the command line and trains."""
    values = define_flags()
    common.parse(values, argv, USAGE)
    common.require(values, "problem", "hparams_set", "data_dir", "output_dir")
    common.import_registrations(
        values.t2t_usr_dir, tensorflow_logs=values.tensorflow_logs
    )
    names = common.select_problems(values.problem)
    hparams, config = _settings(values)
    schedule, warm_start = _what_to_do(values)
    if schedule.trains:
        common.make_folder("output_dir", values.output_dir)
    else:
        _check_one_device(schedule.name, config)
    if values.generate_data:
        _generate_data(values, names)
    if values.hparams_range:
        sys.stdout.write(search_flags.run(values, hparams, seed=config.seed) + "\n")
        return
    search_flags.check_unused(values)
    distribution = common.import_tensorflow(
        values, (lambda: _make_distribution(config)) if schedule.trains else None
    )
    common.silence_retracing_advice()
    text = schedules.run(
        schedule,
        model_name=values.model,
        hparams_set=values.hparams_set,
        hparams=hparams,
        problem_names=names,
        config=config,
        data_dir=values.data_dir,
        output_dir=values.output_dir,
        usr_dir=values.t2t_usr_dir,
        change_hparams=values.change_hparams,
        warm_start=warm_start,
        distribution=distribution,
    )
    if text:
        sys.stdout.write(text + "\n")


def _what_to_do(
    values: flags.FlagValues,
) -> tuple[schedules.Schedule, WarmStartConfig | None]:
    """Returns the schedule and the warm start; refuses flags without effect."""
    schedule = schedules.parse(
        values.schedule,
        use_test_set=values.eval_use_test_set,
        timeout_minutes=values.eval_timeout_mins,
    )
    warm_start = warm_start_flags.config(values)
    if warm_start is not None and not schedule.trains:
        raise ValueError(
            f"--warm_start_from has no effect with --schedule={schedule.name}, which "
            "does not train."
        )
    if values.tmp_dir and not values.generate_data:
        raise ValueError("--tmp_dir goes with --generate_data.")
    return schedule, warm_start


def _generate_data(values: flags.FlagValues, names: Sequence[str]) -> None:
    arguments = [f"--problem={','.join(names)}"]
    for flag in ("data_dir", "tmp_dir", "t2t_usr_dir"):
        if values[flag].value:
            arguments.append(f"--{flag}={values[flag].value}")
    t2t_datagen.main([t2t_datagen.PROGRAM, *arguments])


def _check_one_device(schedule: str, config: RunConfig) -> None:
    if config.strategy not in ("auto", "one") or config.num_devices > 1:
        raise ValueError(
            f"--schedule={schedule} runs on one device; leave --strategy and "
            "--num_devices to the schedules that train."
        )


def _make_distribution(config: RunConfig) -> Any:
    from t2t_mm.training import distribution  # late: it imports TensorFlow

    return distribution.make_distribution(config.strategy, config.num_devices)


def _settings(values: flags.FlagValues) -> tuple[hparam.HParams, RunConfig]:
    """Returns hparams and run options: gin first, then --hparams, then flags."""
    hparams_cls = type(registry.HPARAMS.get(values.hparams_set)())
    bound = gin_settings.read_gin(
        {values.hparams_set: hparams_cls, RunConfig.__name__: RunConfig},
        values.gin_file,
        values.gin_bindings,
    )
    hparams = hparam.resolve(
        values.hparams_set, bound=bound[values.hparams_set], overrides=values.hparams
    )
    if values.mixing is not None:
        hparams = dataclasses.replace(hparams, mixing=values.mixing)
    given = {
        name: values[name].value
        for name in _RUN_FLAGS
        if values[name].value is not None
    }
    settings = bound[RunConfig.__name__] | given
    _check_effects(settings)
    return hparams, RunConfig(**settings)


def _check_effects(settings: Mapping[str, Any]) -> None:
    """Refuses options that others leave without effect."""
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


def run() -> None:
    """Entry point of the command."""
    sys.exit(common.run("t2t-trainer", main))


if __name__ == "__main__":
    run()
