import pytest

from t2t_mm.features import Split
from t2t_mm.problems import split_folders

# The first eight digits of `printf %s n2 | sha1sum`, modulo ten, are 0, and so on.
NAMES = {"n2": Split.TEST, "n33": Split.EVAL, "n9": Split.TRAIN}


@pytest.mark.parametrize("name", NAMES)
def test_a_tenth_each_is_for_dev_and_test(name):
    assert split_folders.tenth_of(name) == NAMES[name]


def test_what_is_not_held_out_is_for_training():
    assert split_folders.tenth_of("n2", [Split.EVAL]) == Split.TRAIN
    assert split_folders.tenth_of("n33", [Split.EVAL]) == Split.EVAL


def names_in(root, split, *args):
    folder = split_folders.SplitFolder(str(root), split, *args)
    name = folder.path.removeprefix(str(root)).strip("/")
    return name, {key for key in NAMES if folder.has(key)}


def test_one_folder_is_dealt_to_all_splits(tmp_path):
    for name, split in NAMES.items():
        assert names_in(tmp_path, split) == ("", {name})


def test_folders_of_splits_are_taken_whole(tmp_path):
    for name in ("train", "val", "test"):
        (tmp_path / name).mkdir()

    assert names_in(tmp_path, Split.TRAIN) == ("train", set(NAMES))
    assert names_in(tmp_path, Split.EVAL) == ("val", set(NAMES))
    assert names_in(tmp_path, Split.TEST) == ("test", set(NAMES))


def test_a_split_without_a_folder_is_taken_from_training(tmp_path):
    for name in ("train", "dev"):
        (tmp_path / name).mkdir()

    assert names_in(tmp_path, Split.TRAIN) == ("train", {"n33", "n9"})
    assert names_in(tmp_path, Split.EVAL) == ("dev", set(NAMES))
    assert names_in(tmp_path, Split.TEST) == ("train", {"n2"})


def test_without_training_a_folder_s_name_means_nothing(tmp_path):
    (tmp_path / "test").mkdir()

    assert names_in(tmp_path, Split.TEST) == ("", {"n2"})


def test_folders_may_have_other_names(tmp_path):
    for name in ("train", "val"):
        (tmp_path / name).mkdir()
    official = {Split.TRAIN: ("train",), Split.EVAL: (), Split.TEST: ("val",)}

    assert names_in(tmp_path, Split.TEST, official) == ("val", set(NAMES))
    assert names_in(tmp_path, Split.EVAL, official) == ("train", {"n33"})
