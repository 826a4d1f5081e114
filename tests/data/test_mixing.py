import numpy as np
import pytest

from t2t_mm.data import mixing

COUNTS = {"large": 900, "medium": 90, "small": 10}


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("equal", {"large": 1 / 3, "medium": 1 / 3, "small": 1 / 3}),
        ("proportional", {"large": 0.9, "medium": 0.09, "small": 0.01}),
        ("capped:40", {"large": 4 / 9, "medium": 4 / 9, "small": 1 / 9}),
        ("temperature:2,capped:40", {"large": 0.4, "medium": 0.4, "small": 0.2}),
        ("capped:40, temperature:2", {"large": 0.4, "medium": 0.4, "small": 0.2}),
        ("adaptive", {"large": 1 / 3, "medium": 1 / 3, "small": 1 / 3}),
        ("temperature:1", {"large": 0.9, "medium": 0.09, "small": 0.01}),
        ("large:1,medium:2,small:5", {"large": 1 / 8, "medium": 2 / 8, "small": 5 / 8}),
        (
            " small:0.5, large:1, medium:.5",
            {"large": 0.5, "medium": 0.25, "small": 0.25},
        ),
    ],
)
def test_rates(text, rates):
    assert mixing.parse_mixing(text, COUNTS).rates_at(123) == pytest.approx(rates)


def test_temperature_two_takes_square_roots():
    rates = mixing.parse_mixing("temperature:2", COUNTS).rates_at(0)

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
        ("capped", "number above 0; got 'capped'"),
        ("temperature:2,caped:3", "no other parts; got 'caped' in 'temperature"),
        ("adaptive:0", "number above 0; got 'adaptive:0'"),
        ("step", "must read 'step @0 problem=weight"),
        ("step large=1", "must read 'step @0 problem=weight"),
        ("step @5 large=1 medium=1 small=1", "rising steps from 0"),
        ("step @0 large=1 medium=1 small=1 @9 large=1 @9 small=1", "rising steps"),
        ("linear @0 large=1 medium=1", "never draws small: name each problem"),
        ("step @0 larg=1", "got 'larg'. Did you mean 'large'"),
        ("step @0 large=lots", "number of at least 0 for 'lots'"),
        ("step @0 large=0", "weight above 0; got '@0 large=0' in 'step"),
        ("step @0 large=1 medium=1 small=1 @x large=1", "got '@x large=1' in"),
    ],
)
def test_mixing_that_does_not_fit_is_an_error(text, message):
    with pytest.raises(ValueError, match=message):
        mixing.parse_mixing(text, COUNTS)


STEPWISE = "step @0 large=3 small=1 @10 medium=1 large=1"
LINEAR = "linear @0 large=3 small=1 @10 medium=1 large=1 @20 small=2"


@pytest.mark.parametrize(
    ("text", "step", "rates"),
    [
        (STEPWISE, 0, (0.75, 0.0, 0.25)),
        (STEPWISE, 9, (0.75, 0.0, 0.25)),
        (STEPWISE, 10, (0.5, 0.5, 0.0)),
        (STEPWISE, 999, (0.5, 0.5, 0.0)),
        (LINEAR, 0, (0.75, 0.0, 0.25)),
        (LINEAR, 4, (0.65, 0.2, 0.15)),
        (LINEAR, 10, (0.5, 0.5, 0.0)),
        (LINEAR, 15, (0.25, 0.25, 0.5)),
        (LINEAR, 99, (0.0, 0.0, 1.0)),
    ],
)
def test_scheduled_rates(text, step, rates):
    found = mixing.parse_mixing(text, COUNTS).rates_at(step)

    expected = dict(zip(("large", "medium", "small"), rates, strict=True))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "left", "rates"),
    [
        ("adaptive", {"large": 0.2, "medium": 0.5, "small": 0.3}, (0.2, 0.5, 0.3)),
        ("adaptive", {"medium": 0.5}, (0.4, 0.2, 0.4)),
        ("adaptive:2", {"large": 0.25, "medium": 0.25}, (0.25, 0.25, 0.5)),
        ("adaptive", {"large": 1e9, "medium": 0.0}, (10 / 11.1, 0.1 / 11.1, 1 / 11.1)),
    ],
)
def test_adaptive_rates_follow_what_is_left_of_the_losses(text, left, rates):
    found = mixing.parse_mixing(text, COUNTS)

    expected = dict(zip(("large", "medium", "small"), rates, strict=True))
    assert found.is_adaptive
    assert found.rates_at(7, left) == pytest.approx(expected)


def test_numbers_by_problem():
    numbers = mixing.by_problem("weights", "small:2, large:0.5", COUNTS, 1.0)

    assert numbers == {"large": 0.5, "medium": 1.0, "small": 2.0}
    with pytest.raises(ValueError, match="`weights` must name .*'smal'. Did you mean"):
        mixing.by_problem("weights", "smal:2", COUNTS, 1.0)


def _schedule(rates, seed=0, **settings):
    return mixing.MixingSchedule(mixing.Mixing([(0, rates)]), seed, **settings)


def _draw(rates, seed=0, steps=3000):
    schedule = _schedule(rates, seed)
    return [name for step in range(steps) for name in schedule.problems_at(step)]


def test_several_draws_of_a_step_keep_to_the_rates():
    rates = {"a": 0.5, "b": 0.3, "c": 0.2}
    schedule = _schedule(rates, problems_per_update=3)

    drawn = [schedule.problems_at(step) for step in range(2000)]

    assert {names.count("a") for names in drawn} == {1, 2}
    assert {names.count("c") for names in drawn} == {0, 1}
    for name, rate in rates.items():
        share = sum(names.count(name) for names in drawn) / 6000
        assert share == pytest.approx(rate, abs=0.02)


def test_as_many_draws_as_problems_at_equal_rates_draw_each_once():
    rates = dict.fromkeys("abcd", 0.25)
    schedule = _schedule(rates, problems_per_update=4)

    assert all(sorted(schedule.problems_at(step)) == list("abcd") for step in range(50))


def test_a_problem_of_rate_zero_is_not_drawn():
    assert set(_draw({"a": 0.0, "b": 1.0, "c": 0.0}, steps=200)) == {"b"}


def test_problems_are_drawn_at_their_rates():
    rates = {"a": 0.6, "b": 0.3, "c": 0.1}

    drawn = _draw(rates)

    # Three standard deviations of a count of 3000 draws are at most 81.
    for name, rate in rates.items():
        assert drawn.count(name) == pytest.approx(3000 * rate, abs=81)


def test_draws_are_a_function_of_seed_and_step():
    rates = {"a": 0.5, "b": 0.5}
    drawn = _draw(rates, steps=100)

    assert _schedule(rates).problems_at(57) == [drawn[57]]
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


@pytest.mark.parametrize(
    ("text", "restricted"),
    [
        ("proportional", "proportional"),
        ("temperature:2,capped:9", "temperature:2,capped:9"),
        ("adaptive:2", "adaptive:2"),
        ("a:1,b:2,c:3", "a:1,c:3"),
        ("step @0 a=1 b=2 @50 b=1 c=1", "step @0 a=1 @50 c=1"),
        ("linear @0 a=0 b=2 @50 a=1 c=1", "equal"),
        ("step @0 b=2 @50 a=1 c=1", "equal"),
    ],
)
def test_a_mixing_may_be_restricted_to_some_problems(text, restricted):
    assert mixing.restrict(text, ["a", "c"]) == restricted
    mixing.parse_mixing(restricted, {"a": 5, "c": 3})
