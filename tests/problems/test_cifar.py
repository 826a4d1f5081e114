import tarfile

import image_corpora
import numpy as np
import pytest

from t2t_mm import registry
from t2t_mm.features import Split
from t2t_mm.problems import cifar_files

PER_BATCH = 1006
NUM_TRAIN = 5 * PER_BATCH


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("cifar")
    image_corpora.write_cifar10(root / "cifar10", PER_BATCH)
    image_corpora.write_cifar100(root / "cifar100", NUM_TRAIN)
    return root


def samples(path, split, name="cifar10"):
    made = registry.problem(name)
    made.corpus_path = str(path)
    return list(made.generate_samples("", "", split))


def unpack(folder, to):
    with tarfile.open(folder / "cifar10" / "cifar-10-python.tar.gz") as archive:
        archive.extractall(to, filter="data")
    return to


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
@pytest.mark.parametrize(
    ("split", "first", "count"),
    [(Split.TRAIN, 0, 30), (Split.EVAL, 30, 5000)],
)
def test_dev_is_the_last_5000_training_pictures(folder, name, split, first, count):
    found = samples(folder / name, split, name)

    numbers = np.arange(first, first + count)
    classes = 10 if name == "cifar10" else 100
    assert [sample["targets"] for sample in found] == list(numbers % classes)
    assert [s["inputs"][0, 0, 2] for s in found] == list(numbers % 256)


def test_channels_rows_and_columns_are_in_their_places(folder):
    for name in ("cifar10", "cifar100"):
        image = samples(folder / name, Split.TEST, name)[0]["inputs"]

        assert image.shape == (32, 32, 3)
        assert tuple(image[5, 7, :2]) == (7, 5)  # red is the column, green the row


@pytest.mark.parametrize("path", ["", "cifar-10-python.tar.gz"])
def test_the_archive_or_its_folder_may_be_named(folder, path):
    assert len(samples(folder / "cifar10" / path, Split.TEST)) == 20


@pytest.mark.parametrize("path", ["", "cifar-10-batches-py"])
def test_unpacked_files_are_read(folder, tmp_path, path):
    assert len(samples(unpack(folder, tmp_path) / path, Split.TEST)) == 20


def test_the_hundred_classes_are_in_the_order_of_the_alphabet():
    names = registry.problem("cifar100").class_names

    assert len(names) == 100
    assert list(names) == sorted(names)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no 'test_batch'.*cifar-10-python.tar"):
        samples(tmp_path, Split.TEST)


@pytest.mark.parametrize("kept", [3000, 0])
def test_a_damaged_file_is_named(folder, tmp_path, kept):
    path = unpack(folder, tmp_path) / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(ValueError, match="'test_batch' in .* must be a file of CIFAR"):
        samples(tmp_path, Split.TEST)


def test_a_pickle_runs_nothing(tmp_path):
    path = tmp_path / "test_batch"
    marker = tmp_path / "marker"
    path.write_bytes(f"cos\nsystem\n(S'touch {marker}'\ntR.".encode())

    with pytest.raises(ValueError, match="must be a file of CIFAR"):
        samples(tmp_path, Split.TEST)

    assert not marker.exists()


def test_a_pickle_of_python_3_is_read_too():
    rows = image_corpora.cifar_rows([1, 2])
    content = image_corpora.pickle.dumps({b"data": rows, b"labels": [3, 4]}, protocol=2)

    found_rows, labels = cifar_files._from_pickle(content, "labels")

    np.testing.assert_array_equal(found_rows, rows)
    assert list(labels) == [3, 4]
