import numpy as np
import pytest

from t2t_mm.evaluation.bootstrap import Bootstrap


def _mean(sums):
    return sums[..., 0] / sums[..., 1]


def _with_ones(values):
    return np.stack([values, np.ones_like(values)], 1)


def test_the_interval_of_a_mean_is_as_wide_as_theory_has_it():
    random = np.random.default_rng(0)
    values = random.normal(3.0, 2.0, size=400)

    interval = Bootstrap(resamples=4000).interval(_with_ones(values), _mean)

    error = values.std() / np.sqrt(400)
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)


def test_a_higher_confidence_needs_a_wider_interval():
    statistics = _with_ones(np.arange(20.0))

    widths = []
    for confidence in (0.5, 0.9, 0.99):
        interval = Bootstrap(confidence=confidence).interval(statistics, _mean)
        widths.append(interval.high - interval.low)
        assert interval.confidence == confidence

    assert widths == sorted(widths)
    # 1.645 / 0.674 standard errors
    assert widths[1] / widths[0] == pytest.approx(2.44, rel=0.15)


def test_equal_examples_leave_no_doubt():
    interval = Bootstrap().interval(_with_ones(np.full(7, 2.5)), _mean)

    assert (interval.low, interval.high) == (2.5, 2.5)


def test_the_seed_decides_the_drawing():
    statistics = _with_ones(np.arange(11.0))

    first, again, other = (
        Bootstrap(resamples=30, seed=seed).interval(statistics, _mean)
        for seed in (3, 3, 4)
    )

    assert first == again
    assert first != other


def test_every_drawing_has_as_many_examples_as_there_are():
    sums = Bootstrap(resamples=9).resampled_sums(_with_ones(np.arange(5.0)))

    assert sums.shape == (9, 2)
    assert (sums[:, 1] == 5).all()
    assert len(set(sums[:, 0])) > 1


@pytest.mark.parametrize(
    ("field", "value"), [("resamples", 0), ("confidence", 1.0), ("confidence", 95)]
)
def test_what_makes_no_interval_is_refused(field, value):
    with pytest.raises(ValueError, match=f"`{field}` must .*; got {value}"):
        Bootstrap(**{field: value})
