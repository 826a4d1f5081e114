"""t2t-trainer: trains one model on one or more problems."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from t2t_mm import gin_settings, hparam, registry
from t2t_mm.bin import flags as common
from t2t_mm.bin import run_flags, search_flags, t2t_datagen, warm_start_flags
from t2t_mm.training import schedules
from t2t_mm.training.run_config import RunConfig
from t2t_mm.training.warm_start_config import WarmStartConfig

USAGE = """
Trains one model on one or more problems and evaluates it on their dev splits:

  t2t-trainer --model=multimodel --hparams_set=multimodel_tiny \\
      --problems=miniworld_ende,miniworld_class --data_dir=data --output_dir=run \\
      --train_steps=2000

Make the data first, with t2t-datagen. Every step trains one problem, drawn as --mixing
says. Ctrl-C saves and stops; the same command goes on from there.
"""


def define_flags() -> flags.FlagValues:
    """Returns the flags of the program."""
    values = flags.FlagValues()
    common.define_problem(values)
    common.define_data_dir(values)
    common.define_output_dir(values)
    common.define_usr_dir(values)
    common.define_debug(values)
    common.define_tensorflow_logs(values)
    _define_model(values)
    run_flags.define(values)
    _define_schedule(values)
    search_flags.define(values)
    warm_start_flags.define(values)
    return values


def _define_model(values: flags.FlagValues) -> None:
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
    flags.DEFINE_string(
        "mixing",
        None,
        "How often each problem is drawn: 'proportional' (to its number of examples), "
        "'equal', 'temperature:2', 'capped:9000', weights 'wmt_ende:3,imagenet:1', a "
        "schedule 'step @0 a=1 b=1 @5000 b=1', or 'adaptive' by dev losses. Default: "
        "that of the hparams set.",
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


def main(argv: Sequence[str]) -> None:
    """Parses the command line and trains."""
    values = define_flags()
    common.parse(values, argv, USAGE)
    common.require(values, "problem", "hparams_set", "data_dir", "output_dir")
    common.import_registrations(
        values.t2t_usr_dir, tensorflow_logs=values.tensorflow_logs
    )
    names = common.select_problems(values.problem)
    schedule, warm_start = _what_to_do(values)
    hparams, config = _settings(values, schedule)
    if schedule.trains:
        common.make_folder("output_dir", values.output_dir)
    else:
        _check_one_device(schedule.name, config)
    if values.generate_data:
        _generate_data(values, names)
    if values.hparams_range:
        text = search_flags.run(values, hparams, names, seed=config.seed)
    else:
        search_flags.check_unused(values)
        text = _run(values, schedule, names, hparams, config, warm_start)
    if text:
        sys.stdout.write(text + "\n")


def _run(
    values: flags.FlagValues,
    schedule: schedules.Schedule,
    names: Sequence[str],
    hparams: hparam.HParams,
    config: RunConfig,
    warm_start: WarmStartConfig | None,
) -> str:
    distribution = common.import_tensorflow(
        values, (lambda: _make_distribution(config)) if schedule.trains else None
    )
    common.silence_retracing_advice()
    return schedules.run(
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
    if warm_start is not None and not (schedule.trains or schedule.tries):
        raise ValueError(
            f"--warm_start_from has no effect with --schedule={schedule.name}, which "
            "reads the checkpoints of the run itself."
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
    from t2t_mm.training import strategies  # late: it imports TensorFlow

    return strategies.make_distribution(config.strategy, config.num_devices)


def _settings(
    values: flags.FlagValues, schedule: schedules.Schedule
) -> tuple[hparam.HParams, RunConfig]:
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
    settings = bound[RunConfig.__name__] | run_flags.given(values)
    run_flags.check_effects(settings, schedule)
    return hparams, RunConfig(**settings)


def run() -> None:
    """Entry point of the command."""
    sys.exit(common.run("t2t-trainer", main))


if __name__ == "__main__":
    run()
