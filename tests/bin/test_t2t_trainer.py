import pytest

from t2t_mm import registry
from t2t_mm.bin import t2t_trainer


def _settings(*flags):
    registry.import_registrations()
    values = t2t_trainer.define_flags()
    values(["t2t-trainer", "--hparams_set=multimodel_tiny", *flags])
    schedule, _ = t2t_trainer._what_to_do(values)
    return t2t_trainer._settings(values, schedule)


def test_the_mixing_is_that_of_the_set_unless_it_is_given():
    assert _settings()[0].mixing == "proportional"
    assert _settings("--hparams=mixing=equal")[0].mixing == "equal"
    assert _settings("--mixing=temperature:2")[0].mixing == "temperature:2"


def test_a_flag_wins_over_hparams_and_these_over_gin():
    gin = "--gin_bindings=multimodel_tiny.mixing = 'equal'"

    assert _settings(gin)[0].mixing == "equal"
    assert _settings(gin, "--hparams=mixing=a:1")[0].mixing == "a:1"
    assert _settings(gin, "--hparams=mixing=a:1", "--mixing=b:1")[0].mixing == "b:1"


def test_options_of_the_run_come_from_gin_and_flags():
    _, config = _settings("--gin_bindings=RunConfig.seed = 3", "--train_steps=7")

    assert (config.seed, config.train_steps) == (3, 7)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--hparams=mixin=equal", "Did you mean mixing"),
        (
            "--gin_bindings=RunConfig.mixing = 'equal'",
            "RunConfig has no field 'mixing'",
        ),
    ],
)
def test_a_field_that_does_not_exist_is_refused(flag, message):
    with pytest.raises(ValueError, match=message):
        _settings(flag)


def test_flags_of_keeping_reach_the_run_under_old_names_too():
    _, config = _settings(
        "--save_checkpoints_secs=600",
        "--keep_checkpoint_max=5",
        "--keep_checkpoint_every_n_hours=12",
        "--keep_best=a/accuracy,loss",
        "--eval_early_stopping_steps=5000",
        "--eval_early_stopping_metric=a/loss",
        "--eval_early_stopping_metric_delta=0.01",
        "--noeval_early_stopping_metric_minimize",
    )

    assert (config.save_every_seconds, config.keep_checkpoints) == (600.0, 5)
    assert config.keep_every_hours == 12.0
    assert config.keep_best == "a/accuracy,loss"
    assert config.eval_early_stopping_steps == 5000
    assert config.eval_early_stopping_metric == "a/loss"
    assert config.eval_early_stopping_metric_delta == 0.01
    assert config.eval_early_stopping_metric_minimize is False


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--save_every_steps=10", "--save_every_seconds=10"],
            "both say when to save",
        ),
        (
            ["--eval_early_stopping_metric=loss"],
            "has no effect without --eval_early_stopping_steps",
        ),
        (["--keep_best=loss", "--eval_every_steps=0"], "`keep_best` goes by"),
        *(
            (["--schedule=train", flag], "with --schedule=train, which does not eval")
            for flag in (
                "--eval_every_steps=10",
                "--show_samples=2",
                "--eval_decode=1",
                "--keep_best=loss",
                "--gin_bindings=RunConfig.eval_steps = 5",
            )
        ),
        (["--schedule=evaluate", "--warm_start_from=run"], "reads the checkpoints of"),
    ],
)
def test_flags_without_effect_are_refused(flags, message):
    with pytest.raises(ValueError, match=message):
        _settings(*flags)


def test_what_tries_a_run_takes_its_command_as_it_is():
    for name in ("test", "preflight"):
        _, config = _settings(
            f"--schedule={name}", "--warm_start_from=run", "--eval_every_steps=10"
        )

        assert config.eval_every_steps == 10
