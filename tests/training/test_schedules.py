import dataclasses

import pytest

from t2t_mm.features import Split
from t2t_mm.runs import folder_lock
from t2t_mm.training import schedules
from t2t_mm.training.warm_start_config import WarmStartConfig


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


def test_a_second_trainer_in_a_folder_is_refused(smallest_settings, tmp_path):
    folder = str(tmp_path)

    with folder_lock.held(folder):
        for name in ("train", "train_and_evaluate"):
            with pytest.raises(BlockingIOError, match="at work in it"):
                schedules.run(
                    schedules.Schedule(name=name),
                    output_dir=folder,
                    **smallest_settings,
                )

    assert [path.name for path in tmp_path.iterdir()] == [folder_lock.FILE]


def test_a_warm_start_is_planned_before_the_run(
    smallest_settings, smallest_run_dir, tmp_path, caplog
):
    def preflight(**changes):
        hparams = dataclasses.replace(smallest_settings["hparams"], **changes)
        return schedules.run(
            schedules.Schedule(name="preflight"),
            output_dir=str(tmp_path / "run"),
            warm_start=WarmStartConfig(path=str(smallest_run_dir)),
            **smallest_settings | {"hparams": hparams},
        )

    with caplog.at_level("INFO"):
        report = preflight()

    assert "The most is" in report
    assert "weights of step 4 from" in caplog.text
    assert " loaded " in caplog.text
    with pytest.raises(ValueError, match="must have the shapes of those in"):
        preflight(filter_size=20)
    assert not (tmp_path / "run").exists()
