import dataclasses
import math

import numpy as np
import pytest

import goldens
from t2t_mm import hparam
from t2t_mm.training import learning_rate


def _rates(schedule, steps, *, train_steps=100, **changes):
    settings = dict(
        learning_rate_constant=0.5, learning_rate_warmup_steps=10, hidden_size=64
    )
    hparams = hparam.HParams(learning_rate_schedule=schedule, **settings | changes)
    rate = learning_rate.make_schedule(hparams, train_steps)
    return [rate(step) for step in steps]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.5, 0.5, 0.5, 0.5]),
        ("linear_warmup", [0.0, 0.4, 0.9, 1.0]),
        ("rsqrt_decay", [1 / math.sqrt(10)] * 3 + [0.2]),
        ("rsqrt_hidden_size", [1 / 8] * 4),
        ("rsqrt_normalized_decay", [1.0, 1.0, 1.0, math.sqrt(10) / 5]),
        ("linear_decay", [1.0, 0.96, 0.91, 0.75]),
        ("constant*linear_warmup", [0.0, 0.2, 0.45, 0.5]),
        (" constant * rsqrt_hidden_size ", [1 / 16] * 4),
    ],
)
def test_factors_by_hand(schedule, expected):
    assert _rates(schedule, [0, 4, 9, 25]) == pytest.approx(expected)


def test_cosine_decay_by_hand():
    rates = _rates("cosine_decay", [0, 50, 75, 100])

    quarter = 0.5 * (1 - math.sqrt(0.5))
    assert rates == pytest.approx([1.0, 0.5, quarter, 0.0])


def test_cosine_decay_ends_where_it_is_told_and_stays_there():
    rates = _rates("cosine_decay", [20, 40, 60], learning_rate_decay_steps=40)

    assert rates == pytest.approx([0.5, 0.0, 0.0])


def test_linear_decay_begins_where_it_is_told_and_ends_with_the_run():
    rates = _rates("linear_decay", [60, 80, 100, 120], learning_rate_decay_steps=40)

    assert rates == pytest.approx([1.0, 0.5, 0.0, 0.0])


def test_exponential_decay_in_steps_and_between_them():
    settings = dict(learning_rate_decay_rate=0.25, learning_rate_decay_steps=8)
    steps = [3, 10, 14, 18]

    smooth = _rates("exp_decay", steps, **settings)
    in_steps = _rates(
        "exp_decay", steps, learning_rate_decay_staircase=True, **settings
    )

    assert smooth == pytest.approx([1.0, 1.0, 0.5, 0.25])
    assert in_steps == pytest.approx([1.0, 1.0, 1.0, 0.25])


def test_a_single_cycle_must_have_steps_after_the_warmup():
    with pytest.raises(
        ValueError, match=r"`train_steps` must be above .*\(10\).*got 9"
    ):
        _rates("single_cycle_cos_decay", [0], train_steps=9)


def test_an_unknown_legacy_scheme_names_the_closest():
    with pytest.raises(ValueError, match="no scheme 'naom'. Did you mean 'noam'"):
        _rates("legacy", [0], learning_rate_decay_scheme="naom")


@pytest.mark.parametrize("schedule", ["linear_decay", "cosine_decay"])
def test_the_last_step_of_a_decay_is_not_wasted(schedule):
    assert _rates(schedule, [99])[0] > 0


def test_an_unknown_factor_names_the_closest():
    with pytest.raises(ValueError) as error:
        _rates("constant*linear_warmpu", [0])

    assert "no factor 'linear_warmpu'. Did you mean 'linear_warmup'?" in str(
        error.value
    )
    assert "rsqrt_decay" in str(error.value)


def _settings(case):
    """Returns the hparams of a golden case and the number of steps of the run."""
    names = {field.name for field in dataclasses.fields(hparam.HParams)}
    settings = {name: value for name, value in case.items() if name in names}
    if settings.get("optimizer") == "sgd":
        settings["optimizer"] = "momentum"
    return hparam.HParams(**settings), case["train_steps"]


@pytest.mark.parametrize("number", range(44))
def test_schedules_are_those_of_tensor2tensor(number):
    arrays = goldens.read("lr_schedule_grammar")
    case = goldens.cases("lr_schedule_grammar")[number]
    hparams, train_steps = _settings(case)
    # There, every batch of an update counts as a step.
    batches = case["optimizer_multistep_accumulate_steps"] or 1

    rate = learning_rate.make_schedule(hparams, train_steps)
    rates = np.array([rate(step / batches) for step in arrays["steps"]])

    expected = arrays[f"c{number}:learning_rate"]
    powers = case["learning_rate_schedule"] == "legacy"
    powers &= arrays["steps"] < case["learning_rate_warmup_steps"]
    np.testing.assert_allclose(rates[~powers], expected[~powers], rtol=2e-5)
    np.testing.assert_allclose(rates[powers], expected[powers], rtol=ROUNDING_OF_POWERS)


# Powers of a float32 near 1 are that far from exact ones.
ROUNDING_OF_POWERS = 1e-4
ROUNDING = {"exp10k": 5e-4, "exp50k": 3e-3, "exp500k": 3e-2}


@pytest.mark.parametrize("number", range(27))
def test_schemes_are_those_of_the_first_releases(number):
    arrays = goldens.read("lr_legacy_schemes")
    case = goldens.cases("lr_legacy_schemes")[number]
    scheme = case["scheme"]
    warmup = case["warmup_steps"]
    if scheme != "cyclelinear10x":  # others warmed up for as long on every machine
        warmup *= case["worker_replicas"]
    hparams = hparam.HParams(
        learning_rate=1.0,
        learning_rate_schedule="legacy",
        learning_rate_decay_scheme=scheme,
        learning_rate_warmup_steps=warmup,
        learning_rate_cosine_cycle_steps=case["cosine_cycle_steps"],
        hidden_size=case["hidden_size"],
        optimizer="momentum",
    )

    rate = learning_rate.make_schedule(hparams, case["train_steps"])

    # The cosine had no warm-up then.
    steps = arrays["steps"] >= (warmup if scheme == "cosine" else 0)
    np.testing.assert_allclose(
        [rate(step) for step in arrays["steps"][steps]],
        arrays[f"c{number}:factor"][steps],
        rtol=ROUNDING.get(scheme, ROUNDING_OF_POWERS),
        atol=1e-7,
    )


def test_legacy_rates_are_lower_for_adam():
    settings = dict(learning_rate_decay_scheme="none", learning_rate=0.5)

    adam, adafactor = (
        _rates("legacy", [50], optimizer=name, **settings)
        for name in ("lazy_adam", "adafactor")
    )

    assert (adam, adafactor) == ([pytest.approx(0.001)], [0.5])


NAMES = ("model/encoder/a/kernel:0", "model/encoder/b/bias:0", "model/decoder/kernel:0")


@pytest.mark.parametrize(
    ("text", "factors"),
    [
        ("", [1.0, 1.0, 1.0]),
        ("*:0.5", [0.5, 0.5, 0.5]),
        ("encoder*:0.1, */bias:2", [0.1, 2.0, 1.0]),
        ("encoder/?/kernel:0", [0.0, 1.0, 1.0]),
    ],
)
def test_the_last_pattern_that_matches_sets_the_factor_of_a_variable(text, factors):
    found = learning_rate.variable_factors(text, NAMES)

    assert found == dict(zip(NAMES, factors, strict=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("enc:0.5", "'enc' matches none. Their names begin with: decoder, encoder"),
        ("encoder*", "must read name:number"),
        ("encoder*:fast", "number of at least 0 for 'fast'; got 'encoder"),
        ("encoder*:-1", "number of at least 0 for '-1'"),
        ("encoder*:1,encoder*:2", "each name once"),
    ],
)
def test_factors_that_do_not_fit_are_errors(text, message):
    with pytest.raises(ValueError, match=message):
        learning_rate.variable_factors(text, NAMES)
