import pytest

from t2t_mm import registry
from t2t_mm.bin import t2t_trainer


def _settings(*flags):
    registry.import_registrations()
    values = t2t_trainer.define_flags()
    values(["t2t-trainer", "--hparams_set=multimodel_tiny", *flags])
    return t2t_trainer._settings(values)


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
