import pytest

from t2t_mm.bin import t2t_trainer, warm_start_flags
from t2t_mm.training.warm_start_config import WarmStartConfig


def _config(*flags):
    values = t2t_trainer.define_flags()
    values(["t2t-trainer", *flags])
    return warm_start_flags.config(values)


def test_without_a_place_to_start_from_there_is_no_warm_start():
    assert _config() is None
    assert _config("--change_hparams=dropout") is None


def test_every_flag_has_its_place():
    assert _config("--warm_start_from=run") == WarmStartConfig(path="run")
    assert _config(
        "--warm_start_from=run",
        "--warm_start_step",
        "--warm_start_optimizer",
        "--warm_start_include=encoder*,commands",
        "--warm_start_exclude=*/softmax",
        "--warm_start_rename=a=b,c/d=c/e",
        "--warm_start_mismatch=resize",
    ) == WarmStartConfig(
        path="run",
        step=True,
        optimizer=True,
        include=("encoder*", "commands"),
        exclude=("*/softmax",),
        renamed={"a": "b", "c/d": "c/e"},
        mismatch="resize",
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--warm_start_step"], "--warm_start_step has an effect with --warm_start_f"),
        (["--warm_start_from=run", "--warm_start_rename=a"], "NEW=OLD; got 'a'"),
        (
            ["--warm_start_from=run", "--warm_start_include="],
            "have a pattern; got none",
        ),
    ],
)
def test_flags_that_cannot_be_meant_are_refused(flags, message):
    with pytest.raises(ValueError, match=message):
        _config(*flags)
