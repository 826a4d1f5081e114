import pytest

from t2t_mm import registry
from t2t_mm.bin import search_flags, t2t_trainer


@pytest.fixture(autouse=True)
def registrations():
    registry.import_registrations()


def _values(*flags):
    values = t2t_trainer.define_flags()
    values(["t2t-trainer", "--hparams_set=multimodel_tiny", *flags])
    return values


def _run(values):
    schedule, _ = t2t_trainer._what_to_do(values)
    hparams, _ = t2t_trainer._settings(values, schedule)
    return search_flags.run(values, hparams, ["copy_digits"], seed=0)


def test_trials_have_the_flags_of_the_search_that_are_theirs():
    given = (
        "--problems=copy_digits,reverse_digits",
        "--gin_bindings=multimodel_tiny.dropout = 0.1",
        "--gin_bindings=RunConfig.seed = 3",
        "--nojit_compile",
        "--train_steps=7",
    )
    of_search = (
        "--hparams_range=optimizer_range",
        "--autotune_max_trials=3",
        "--hparams=batch_size=64",
        "--output_dir=search",
        "--generate_data",
    )

    arguments = search_flags.trial_arguments(_values(*given, *of_search))

    again = t2t_trainer.define_flags()
    again(["t2t-trainer", *arguments])
    assert again.problem == ["copy_digits", "reverse_digits"]
    assert again.gin_bindings == [flag.split("=", 1)[1] for flag in given[1:3]]
    assert (again.jit_compile, again.train_steps) == (False, 7)
    assert again.hparams_set == "multimodel_tiny"
    for name in ("hparams_range", "output_dir", "generate_data", "hparams"):
        assert not again[name].value


def test_flags_of_a_search_need_one():
    with pytest.raises(ValueError, match="--autotune_max_trials goes with"):
        search_flags.check_unused(_values("--autotune_max_trials=3"))

    search_flags.check_unused(_values("--train_steps=3"))


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--schedule=train", "goes with --schedule=train_and_evaluate; got train"),
        ("--hparams=dropout=0.1", "must leave alone .* got dropout"),
        ("--mixing=equal", "must leave alone .* got mixing"),
    ],
)
def test_flags_that_contradict_a_search_are_refused(flag, message, monkeypatch):
    def ranges(rhp):
        rhp.set_float("dropout", 0.0, 0.3)
        rhp.set_categorical("mixing", ["equal", "proportional"])

    monkeypatch.setattr(registry.RANGED_HPARAMS, "get", lambda name: ranges)
    values = _values("--hparams_range=optimizer_range", flag)

    with pytest.raises(ValueError, match=message):
        _run(values)


def test_several_workers_do_not_search_in_one_folder(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}}')
    values = _values("--hparams_range=optimizer_range")

    with pytest.raises(ValueError, match="on one machine; unset TF_CONFIG"):
        _run(values)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--autotune_objective=copy/loss"],
            "is trained: copy_digits; got 'copy/loss'",
        ),
        (["--autotune_objective=oddity"], "must say 'oddity:max' or 'oddity:min'"),
        (["--autotune_objective=loss:up"], "':max' or ':min' after a metric"),
    ],
)
def test_an_objective_that_cannot_be_is_refused_before_the_first_trial(
    flags, message, tmp_path
):
    values = _values(
        "--hparams_range=optimizer_range", f"--output_dir={tmp_path}", *flags
    )

    with pytest.raises(ValueError, match=message):
        _run(values)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], ("loss", None, False)),
        (
            ["--autotune_objective=copy_digits/accuracy"],
            ("accuracy", "copy_digits", True),
        ),
        (["--autotune_objective=oddity:max"], ("oddity", None, True)),
        (["--autotune_maximize"], ("loss", None, True)),
    ],
)
def test_an_objective_goes_by_its_name_unless_told(flags, expected):
    metric = search_flags._objective(_values(*flags), ["copy_digits"])

    assert (metric.name, metric.problem, metric.higher_is_better) == expected
