import numpy as np
import pytest

from t2t_mm import registry
from t2t_mm.data import class_targets, generation, image_problem, manifest


class _Folders(class_targets.CorpusClassTargets, image_problem.Image2ClassProblem):
    name = "folders"
    image_shape = (2, 3, 3)
    names = ("cat", "dog")

    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        self.write_class_names(self.names, data_dir)
        for name in self.names:
            yield {"inputs": np.zeros((2, 3, 3), np.uint8), "label": name}

    def generation_settings(self):
        return {**super().generation_settings(), "names": self.names}


class _MoreFolders(_Folders):
    names = ("cat", "cow", "dog")


def generate(problem, folder):
    return generation.generate(problem, str(folder), str(folder))


def test_names_are_known_wherever_their_file_is(tmp_path):
    generate(_Folders(), tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "folders.classes.txt").rename(tmp_path / "run" / "folders.classes.txt")

    run = str(tmp_path / "run")
    assert list(_Folders().class_labels(run)) == ["cat", "dog"]
    assert _Folders().decode_targets([1], run) == "dog"
    assert _Folders().encode_targets("dog", run) == [1]
    assert _Folders().targets_spec(run).vocab_size == 2


def test_another_list_is_read_again(tmp_path):
    generate(_Folders(), tmp_path)
    assert len(_Folders().class_labels(str(tmp_path))) == 2

    generate(_MoreFolders(), tmp_path)

    assert _MoreFolders().decode_targets([1], str(tmp_path)) == "cow"
    assert _MoreFolders().encode_targets("dog", str(tmp_path)) == [2]


def test_records_of_other_classes_are_not_left_to_be_read(tmp_path):
    generate(_Folders(), tmp_path)
    samples = _MoreFolders().generate_samples(str(tmp_path), "", "train")

    next(samples)  # and then the power fails

    assert manifest.load("folders", str(tmp_path)) is None


def test_the_same_list_leaves_records_as_they_are(tmp_path):
    generate(_Folders(), tmp_path)

    next(_Folders().generate_samples(str(tmp_path), "", "train"))

    assert manifest.load("folders", str(tmp_path)) is not None


def test_a_list_that_is_lost_is_made_again(tmp_path):
    generate(_Folders(), tmp_path)
    (tmp_path / "folders.classes.txt").unlink()

    generate(_Folders(), tmp_path)

    assert _Folders().decode_targets([0], str(tmp_path)) == "cat"


def test_without_records_the_error_says_how_to_make_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="t2t-datagen --problem=folders"):
        _Folders().class_labels(str(tmp_path))


@pytest.mark.parametrize("names", [(), ("a", "a"), ("a\nb",)])
def test_names_must_be_lines_of_their_own(tmp_path, names):
    with pytest.raises(ValueError, match="each its own and on one line"):
        _Folders().write_class_names(names, str(tmp_path))


def test_odd_names_come_back(tmp_path):
    names = ("a b", "\u2028", "carriage\rreturn", " ")

    _Folders().write_class_names(names, str(tmp_path))

    assert _Folders().class_labels(str(tmp_path)) == names


def test_how_many_classes_there_are_cannot_be_known_without_data():
    with pytest.raises(ValueError, match="depends on its corpus"):
        _ = _Folders().num_classes


def test_a_label_is_a_whole_number_of_any_kind(tmp_path):
    made = registry.problem("mnist")

    assert made.encode_targets(np.uint8(7), str(tmp_path)) == [7]
    for wrong in (1.5, np.float32(1), None):
        with pytest.raises(ValueError, match="a whole number or a name; got"):
            made.encode_targets(wrong, str(tmp_path))


def test_a_label_that_is_too_large_is_refused(tmp_path):
    _Folders().write_class_names(("cat", "dog"), str(tmp_path))

    with pytest.raises(ValueError, match="at least 0 and below 2; got 2"):
        _Folders().encode_targets(2, str(tmp_path))
