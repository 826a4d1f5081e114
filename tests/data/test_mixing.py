import numpy as np
import pytest

from t2t_mm.data import mixing

COUNTS = {"large": 900, "medium": 90, "small": 10}


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("equal", {"large": 1 / 3, "medium": 1 / 3, "small": 1 / 3}),
        ("proportional", {"large": 0.9, "medium": 0.09, "small": 0.01}),
        ("temperature:1", {"large": 0.9, "medium": 0.09, "small": 0.01}),
        ("large:1,medium:2,small:5", {"large": 1 / 8, "medium": 2 / 8, "small": 5 / 8}),
        (
            " small:0.5, large:1, medium:.5",
            {"large": 0.5, "medium": 0.25, "small": 0.25},
        ),
    ],
)
def test_rates(text, rates):
    assert mixing.parse_mixing(text, COUNTS) == pytest.approx(rates)


def test_temperature_two_takes_square_roots():
    rates = mixing.parse_mixing("temperature:2", COUNTS)

    roots = {name: count**0.5 for name, count in COUNTS.items()}
    total = 30 + 90**0.5 + 10**0.5
    assert rates == pytest.approx({name: r / total for name, r in roots.items()})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fair", "must be 'proportional', 'equal', .*; got 'fair'"),
        ("", "must be 'proportional'"),
        ("temperature", "number above 0; got 'temperature'"),
        ("temperature:0", "number above 0; got 'temperature:0'"),
        ("temperature:hot", "number above 0; got 'temperature:hot'"),
        ("temperature:inf", "number above 0"),
        ("large:1,medium:1,small:0", "number above 0"),
        ("large:1,medium:1,small:nan", "number above 0"),
        ("large:1,medium:1", r"run has \['large', 'medium', 'small'\]; the weights"),
        ("large:1,medium:1,small:1,tiny:1", "name each problem of the run once"),
        ("large:1,large:2,medium:1,small:1", "names 'large' twice"),
    ],
)
def test_mixing_that_does_not_fit_is_an_error(text, message):
    with pytest.raises(ValueError, match=message):
        mixing.parse_mixing(text, COUNTS)


def _draw(rates, seed=0, steps=3000):
    schedule = mixing.MixingSchedule(rates, seed)
    return [schedule.problem_at(step) for step in range(steps)]


def test_problems_are_drawn_at_their_rates():
    rates = {"a": 0.6, "b": 0.3, "c": 0.1}

    drawn = _draw(rates)

    # Three standard deviations of a count of 3000 draws are at most 81.
    for name, rate in rates.items():
        assert drawn.count(name) == pytest.approx(3000 * rate, abs=81)


def test_draws_are_a_function_of_seed_and_step():
    rates = {"a": 0.5, "b": 0.5}
    drawn = _draw(rates, steps=100)

    assert mixing.MixingSchedule(rates, 0).problem_at(57) == drawn[57]
    assert _draw(rates, steps=100) == drawn
    assert _draw(rates, seed=1, steps=100) != drawn


def test_the_order_of_problems_changes_nothing():
    rates = {"a": 0.6, "b": 0.3, "c": 0.1}
    backwards = dict(reversed(rates.items()))

    assert _draw(rates, steps=100) == _draw(backwards, steps=100)


def test_draws_of_neighbouring_steps_do_not_depend_on_each_other():
    drawn = np.array(_draw({"a": 0.5, "b": 0.5})) == "a"

    correlation = np.corrcoef(drawn[:-1], drawn[1:])[0, 1]

    assert abs(correlation) < 0.06


def test_a_single_problem_is_always_drawn():
    assert set(_draw({"only": 1.0}, steps=20)) == {"only"}
