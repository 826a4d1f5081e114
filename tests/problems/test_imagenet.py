import image_corpora
import pytest

from t2t_mm import problem, registry
from t2t_mm.features import Split
from t2t_mm.problems import imagenet_labels

# The third line of the list of validation labels, and its place among all synsets.
THIRD_SYNSET, THIRD_LABEL = "n02105855", 230


def samples(root, split, data_dir):
    made = registry.problem("imagenet")
    made.corpus_path = str(root)
    found = made.generate_samples(str(data_dir), "", split)
    return made, list(found)


def labels(root, split, data_dir):
    _, found = samples(root, split, data_dir)
    return {sample["name"].rsplit("/")[-1]: sample["targets"] for sample in found}


TRAIN_LABELS = {
    "n01440764_18.JPEG": 0,
    "n01440764_36.JPEG": 0,
    "n02105855_2933.JPEG": THIRD_LABEL,
    "n02105855_9.JPEG": THIRD_LABEL,
}


def write_folders(root, train="train", val="val"):
    for synset, files in image_corpora.imagenet_train_images().items():
        for name, content in files.items():
            image_corpora.write(root / train / synset / name, content)
    for name, content in image_corpora.imagenet_validation_images().items():
        image_corpora.write(root / val / name, content)


def test_the_lists_are_those_of_the_challenge():
    assert len(imagenet_labels.synsets()) == 1000
    assert imagenet_labels.synsets()[0] == "n01440764"
    assert list(imagenet_labels.synsets()) == sorted(imagenet_labels.synsets())
    assert len(imagenet_labels.validation_synsets()) == 50_000
    assert imagenet_labels.labels()[THIRD_SYNSET] == THIRD_LABEL


def test_a_tar_of_tars_is_read(tmp_path):
    image_corpora.write_imagenet_tars(tmp_path)

    assert labels(tmp_path, Split.TRAIN, tmp_path) == TRAIN_LABELS


def test_validation_pictures_of_a_tar_get_the_official_labels(tmp_path):
    image_corpora.write_imagenet_tars(tmp_path)

    found = labels(tmp_path, Split.EVAL, tmp_path)

    assert len(found) == 5
    assert found["ILSVRC2012_val_00000003.JPEG"] == THIRD_LABEL


@pytest.mark.parametrize("below", ["", "ILSVRC/Data/CLS-LOC"])
def test_folders_of_classes_are_read(tmp_path, below):
    write_folders(tmp_path / below)

    assert labels(tmp_path, Split.TRAIN, tmp_path) == TRAIN_LABELS
    found = labels(tmp_path, Split.EVAL, tmp_path)
    assert found["ILSVRC2012_val_00000003.JPEG"] == THIRD_LABEL


def test_validation_pictures_may_be_in_folders_of_classes(tmp_path):
    write_folders(tmp_path)
    old = tmp_path / "val" / "ILSVRC2012_val_00000003.JPEG"
    new = tmp_path / "val" / "n01440764" / old.name
    new.parent.mkdir()
    old.rename(new)

    assert labels(tmp_path, Split.EVAL, tmp_path)[old.name] == 0


def test_a_list_of_labels_in_the_folder_comes_first(tmp_path):
    write_folders(tmp_path)
    (tmp_path / "validation_labels.txt").write_text("n01440764\n" * 4)

    _, found = samples(tmp_path, Split.EVAL, tmp_path)

    assert [sample["targets"] for sample in found[:4]] == [0] * 4
    assert found[4] == problem.Rejected(
        name="val/ILSVRC2012_val_00000005.JPEG",
        reason="not called like one of ImageNet's",
    )


def test_labels_of_records_count_from_one(tmp_path):
    image_corpora.write_imagenet_records(tmp_path)

    assert labels(tmp_path, Split.TRAIN, tmp_path) == {
        "train-00000-of-00002 record 0": 0,
        "train-00000-of-00002 record 1": 999,
        "train-00001-of-00002 record 0": 1,
    }
    assert labels(tmp_path, Split.EVAL, tmp_path) == {
        "validation-00000-of-00001 record 0": 2
    }


def test_a_record_without_a_picture_is_rejected(tmp_path):
    image_corpora.write_imagenet_records(tmp_path)
    path = tmp_path / "train-00001-of-00002"
    payload = image_corpora.tfrecord.encode_example({"image/class/label": [1]})
    path.write_bytes(image_corpora.tfrecord.frame(payload))

    _, found = samples(tmp_path, Split.TRAIN, tmp_path)

    assert found[-1].name == "train-00001-of-00002 record 0"
    assert found[-1].reason == "not a picture with a label"


@pytest.mark.parametrize("name", ["imagenet", "imagenet224", "imagenet64"])
def test_cmyk_grey_and_misnamed_pictures_are_encoded(tmp_path, name):
    image_corpora.write_imagenet_tars(tmp_path)
    _, found = samples(tmp_path, Split.TRAIN, tmp_path)
    made = registry.problem(name)

    for sample in found:
        (content,) = made.encode_inputs(sample["inputs"], str(tmp_path))
        with image_corpora.Image.open(image_corpora.io.BytesIO(content)) as image:
            assert image.mode == "RGB"
            assert image.size == made.image_shape[:2]


def test_an_unknown_class_is_rejected(tmp_path):
    write_folders(tmp_path)
    (tmp_path / "train" / "n01440764").rename(tmp_path / "train" / "n99999999")

    _, found = samples(tmp_path, Split.TRAIN, tmp_path)

    reasons = [s.reason for s in found if isinstance(s, problem.Rejected)]
    assert reasons == ["not of one of the 1000 classes"] * 2


def test_classes_are_called_by_their_words_if_these_are_there(tmp_path):
    image_corpora.write_imagenet_tars(tmp_path)
    made, _ = samples(tmp_path, Split.TRAIN, tmp_path)
    assert made.decode_targets([0], str(tmp_path)) == "n01440764"

    (tmp_path / "LOC_synset_mapping.txt").write_text("n01440764 tench, Tinca tinca\n")
    made, _ = samples(tmp_path, Split.TRAIN, tmp_path)

    assert made.decode_targets([0], str(tmp_path)) == "n01440764 tench, Tinca tinca"
    assert made.decode_targets([1], str(tmp_path)) == "n01443537"
    assert made.targets_spec(str(tmp_path)).vocab_size == 1000


def test_a_folder_of_something_else_is_answered_with_the_layout(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "kitten.jpg").touch()

    with pytest.raises(FileNotFoundError) as caught:
        samples(corpus, Split.TRAIN, tmp_path)

    assert "no pictures of the split train" in str(caught.value)
    assert "ILSVRC2012_img_train.tar" in str(caught.value)
    assert "holds kitten.jpg" in str(caught.value)


def test_archives_and_files_of_records_are_read_side_by_side(tmp_path):
    made = registry.problem("imagenet")
    tars, records = tmp_path / "tars", tmp_path / "records"
    image_corpora.write_imagenet_tars(tars)
    image_corpora.write_imagenet_records(records)

    found = {}
    for folder in (tars, records):
        made.corpus_path = str(folder)
        for part in made.sample_parts(str(tmp_path), "", Split.TRAIN):
            part_samples = made.generate_part(str(tmp_path), "", Split.TRAIN, part)
            found[part] = [sample["targets"] for sample in part_samples]

    assert found == {
        "n01440764.tar": [0, 0],
        "n02105855.tar": [THIRD_LABEL, THIRD_LABEL],
        "train-00000-of-00002": [0, 999],
        "train-00001-of-00002": [1],
    }
