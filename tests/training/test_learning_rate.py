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


@pytest.mark.parametrize("schedule", ["linear_decay", "cosine_decay"])
def test_decay_ends_where_it_is_told_and_stays_there(schedule):
    half, end, after = _rates(schedule, [20, 40, 60], learning_rate_decay_steps=40)

    assert half == pytest.approx(0.5)
    assert (end, after) == pytest.approx((0.0, 0.0))


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


SAME_AS_TENSOR2TENSOR = {
    0: "constant",
    1: "linear_warmup",
    2: "constant*linear_warmup*rsqrt_decay*rsqrt_hidden_size",
    4: "rsqrt_decay",
    6: "rsqrt_hidden_size",
}


@pytest.mark.parametrize(("case", "schedule"), SAME_AS_TENSOR2TENSOR.items())
def test_factors_are_those_of_tensor2tensor(case, schedule):
    arrays = goldens.read("lr_schedule_grammar")

    rates = _rates(
        schedule,
        arrays["steps"],
        hidden_size=512,
        learning_rate_constant=2.0,
        learning_rate_warmup_steps=4000,
    )

    np.testing.assert_allclose(rates, arrays[f"c{case}:learning_rate"], rtol=1e-5)
