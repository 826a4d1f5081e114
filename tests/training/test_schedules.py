import pytest

from t2t_mm.features import Split
from t2t_mm.training import schedules


@pytest.mark.parametrize(
    ("given", "name", "split"),
    [
        ("train_and_evaluate", "train_and_evaluate", Split.EVAL),
        ("continuous_train_and_eval", "train_and_evaluate", Split.EVAL),
        ("evaluate_on_train_data", "evaluate", Split.TRAIN),
        ("continuous_eval_on_train_data", "continuous_eval", Split.TRAIN),
        ("predict_memory", "preflight", Split.EVAL),
    ],
)
def test_names_of_tensor2tensor_are_known(given, name, split):
    schedule = schedules.parse(given)

    assert (schedule.name, schedule.eval_split) == (name, split)


def test_the_test_split_is_read_by_schedules_that_only_evaluate():
    assert schedules.parse("evaluate", use_test_set=True).eval_split == Split.TEST

    for name in ("train", "train_and_evaluate", "evaluate_on_train_data", "test"):
        with pytest.raises(ValueError, match=f"--eval_use_test_set .* got {name}"):
            schedules.parse(name, use_test_set=True)


def test_a_timeout_without_effect_is_refused():
    assert schedules.parse("continuous_eval").timeout_minutes == 240.0
    assert schedules.parse("continuous_eval", timeout_minutes=-1).timeout_minutes == -1

    with pytest.raises(ValueError, match="--eval_timeout_mins goes with"):
        schedules.parse("evaluate", timeout_minutes=5)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("train_and_eval", "Did you mean 'train_and_evaluate'"),
        ("continuous_decode_from_file", "t2t-decoder decodes"),
        ("run_std_server", "no parameter servers"),
    ],
)
def test_an_unknown_schedule_says_where_to_go(name, hint):
    with pytest.raises(LookupError, match=hint):
        schedules.parse(name)
