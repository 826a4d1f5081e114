import image_corpora
import pytest

from t2t_mm import problem, registry
from t2t_mm.features import Split


def samples(root, split, data_dir, name="image_folder"):
    made = registry.problem(name)
    made.corpus_path = str(root)
    return list(made.generate_samples(str(data_dir), "", split))


def write(root, *names):
    for name in names:
        image_corpora.write(root / name, b"image")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    return folder


def test_folders_of_splits_hold_folders_of_classes(root, tmp_path):
    write(root, "train/dog/2.jpg", "train/cat/1.PNG", "train/cat/below/0.webp")
    write(root, "val/dog/3.jpg", "test/cat/4.jpg")

    found = {split: samples(root, split, tmp_path) for split in Split}

    assert [(s["name"], s["targets"]) for s in found[Split.TRAIN]] == [
        ("cat/1.PNG", 0),
        ("cat/below/0.webp", 0),
        ("dog/2.jpg", 1),
    ]
    assert found[Split.TRAIN][0]["inputs"] == root / "train" / "cat" / "1.PNG"
    assert [s["targets"] for s in found[Split.EVAL]] == [1]
    assert [s["targets"] for s in found[Split.TEST]] == [0]


def test_without_splits_every_picture_is_in_one_by_its_name(root, tmp_path):
    names = [f"{kind}/{n}.jpg" for kind in ("cat", "dog") for n in range(40)]
    write(root, *names)

    parts = [samples(root, split, tmp_path) for split in Split]

    assert sorted(s["name"] for part in parts for s in part) == sorted(names)
    assert len(parts[0]) > 50
    assert all(parts)


def test_names_are_found_again_without_the_corpus(root, tmp_path):
    write(root, "train/dog/2.jpg", "train/Käfer/1.png")
    samples(root, Split.TRAIN, tmp_path)

    made = registry.problem("image_folder")

    assert list(made.class_labels(str(tmp_path))) == ["Käfer", "dog"]
    assert made.decode_targets([0], str(tmp_path)) == "Käfer"
    assert made.targets_spec(str(tmp_path)).vocab_size == 2
    assert made.vocabulary_files == ("image_folder.classes.txt",)


def test_other_files_are_counted(root, tmp_path):
    write(root, "train/cat/1.png", "train/cat/.DS_Store", "train/cat/notes.txt")
    write(root, "train/.thumbnails/cat.png")

    found = samples(root, Split.TRAIN, tmp_path)

    rejected = [s for s in found if isinstance(s, problem.Rejected)]
    assert {(s.reason, s.harmless) for s in rejected} == {
        ("hidden file", True),
        ("not called like an image", True),
    }
    assert len(found) == 3


def test_a_class_that_training_has_not_is_bad(root, tmp_path):
    write(root, "train/cat/1.png", "dev/cow/2.png")

    (found,) = samples(root, Split.EVAL, tmp_path)

    assert found == problem.Rejected(
        name="cow/2.png", reason="of a class that training has not"
    )


def test_a_folder_without_classes_is_answered_with_the_layout(root, tmp_path):
    write(root, "cat.jpg")

    with pytest.raises(FileNotFoundError) as caught:
        samples(root, Split.TRAIN, tmp_path)

    assert "no folders of classes" in str(caught.value)
    assert "train/CLASS/*.jpg" in str(caught.value)


def test_imagenettes_validation_is_for_testing(root, tmp_path):
    names = [f"train/n03888257/n03888257_{n}.JPEG" for n in range(40)]
    write(root, *names, "val/n01440764/1.JPEG", "noisy_imagenette.csv")

    train, dev, test = (samples(root, s, tmp_path, "imagenette") for s in Split)

    assert len(train) + len(dev) == 40 and len(train) > len(dev) > 0
    assert {s["targets"] for s in train} == {9}
    assert [s["targets"] for s in test] == [0]
    names = registry.problem("imagenette").class_names
    assert (names[0], names[9]) == ("tench", "parachute")
