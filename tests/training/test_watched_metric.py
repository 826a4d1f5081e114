import pytest

from t2t_mm.training import watched_metric

AVAILABLE = {
    "copy": ["accuracy", "neg_log_perplexity", "loss"],
    "speech": ["loss", "decoded_wer", "decoded_bleu", "decoded_top1", "oddness"],
}
RESULTS = {
    "copy": {"accuracy": 0.25, "loss": 3.0, "expert_load": {"a": [1.0]}},
    "speech": {"loss": 1.0, "decoded_wer": 0.5},
}


def parse(text, **options):
    return watched_metric.parse("keep_best", text, AVAILABLE, **options)


@pytest.mark.parametrize(
    ("text", "value", "higher_is_better"),
    [
        ("copy/accuracy", 0.25, True),
        ("speech/decoded_wer", 0.5, False),
        ("speech/decoded_top1", None, True),
        ("decoded_bleu", None, True),
        ("loss", 2.0, False),
        ("accuracy", 0.25, True),
        ("copy/neg_log_perplexity", None, True),
        (" speech/oddness:max", None, True),
        ("copy/accuracy:min", 0.25, False),
    ],
)
def test_a_metric_is_of_a_problem_or_the_mean_over_all(text, value, higher_is_better):
    metric = parse(text)

    assert metric.value(RESULTS) == value
    assert metric.higher_is_better == higher_is_better
    assert str(metric) == text.strip().partition(":")[0]


def test_gain_is_what_is_better():
    assert parse("loss").gain(1.0, 3.0) == 2.0
    assert parse("copy/accuracy").gain(1.0, 3.0) == -2.0
    assert parse("loss", higher_is_better=True).gain(1.0, 3.0) == -2.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("copy/acuracy", "got 'copy/acuracy'. Did you mean 'copy/accuracy'"),
        ("copy/decoded_bleu", "Scores of decoded outputs need --eval_decode"),
        ("copi/loss", "Did you mean 'copy/loss'"),
        ("copy/accuracy:up", "':max' or ':min' after a metric; got 'copy/accuracy:up'"),
        ("speech/oddness", "must say 'oddness:max' or 'oddness:min'"),
        ("", "must name a metric of the run; got ''"),
    ],
)
def test_other_names_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)
