import gzip

import corpora
import numpy as np
import pytest

from t2t_mm import registry
from t2t_mm.features import Split
from t2t_mm.problems import fashion_mnist

NUM_TRAIN = 5003  # three more than the dev split
NUM_TEST = 7


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fashion")
    corpora.write_fashion_part(folder, "train", NUM_TRAIN)
    corpora.write_fashion_part(folder, "t10k", NUM_TEST)
    return folder


def samples(root, split):
    problem = registry.problem("mini_fashion")
    problem.corpus_path = str(root)
    return list(problem.generate_samples("", "", split))


@pytest.mark.parametrize(
    ("split", "first", "count"),
    [(Split.TRAIN, 0, 3), (Split.EVAL, 3, 5000), (Split.TEST, 0, NUM_TEST)],
)
def test_dev_is_the_last_5000_training_images(root, split, first, count):
    found = samples(root, split)

    numbers = np.arange(first, first + count)
    assert [sample["targets"] for sample in found] == list(numbers % 10)
    greys = [sample["inputs"].max() for sample in found]
    assert greys == list(corpora.grey_of(numbers))


def test_grey_becomes_rgb(root):
    image = samples(root, Split.TEST)[5]["inputs"]

    assert image.shape == (28, 28, 3)
    assert image.dtype == np.uint8
    expected = np.zeros((28, 28))
    expected[4:24, 6:22] = 5
    for channel in range(3):
        np.testing.assert_array_equal(image[:, :, channel], expected)


def test_classes_have_their_official_names():
    problem = registry.problem("mini_fashion")

    assert problem.num_classes == 10
    assert problem.decode_targets([0], "") == "T-shirt/top"
    assert problem.decode_targets([9], "") == "Ankle boot"


def test_idx_files_keep_the_order_of_their_axes(tmp_path):
    array = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
    corpora.write_idx(tmp_path / "a.gz", array)

    found = fashion_mnist.read_idx(str(tmp_path / "a.gz"), fashion_mnist.IMAGES_MAGIC)

    np.testing.assert_array_equal(found, array)


def images_content():
    header = b"\x00\x00\x08\x03" + b"".join(
        size.to_bytes(4, "big") for size in (2, 3, 5)
    )
    return header + bytes(2 * 3 * 5)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (gzip.compress(images_content())[:-9], "cannot be uncompressed"),
        (images_content(), "cannot be uncompressed"),
        (gzip.compress(images_content()[:-1]), "29 values for the shape [2, 3, 5]"),
        (gzip.compress(images_content()[:7]), "7 bytes, less than its header"),
        (gzip.compress(b"\x00\x00\x08\x01" + bytes(99)), "0x801 instead of 0x803"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, content, complaint):
    path = tmp_path / "images.gz"
    path.write_bytes(content)

    with pytest.raises(ValueError) as caught:
        fashion_mnist.read_idx(str(path), fashion_mnist.IMAGES_MAGIC)

    assert f"'{path}' must be a whole idx file" in str(caught.value)
    assert complaint in str(caught.value)


def test_there_must_be_a_label_for_every_image(tmp_path):
    corpora.write_fashion_part(tmp_path, "t10k", 7)
    folder = tmp_path / corpora.FASHION_FOLDER
    labels = folder / fashion_mnist.LABELS_FILE.format("t10k")
    corpora.write_idx(labels, np.zeros(6, np.uint8))

    with pytest.raises(ValueError, match="7 images and 6 labels"):
        fashion_mnist.read_part(str(folder), "t10k")


def test_a_wrong_folder_is_answered_by_what_it_holds_and_the_way_to_get_it(tmp_path):
    (tmp_path / "dataset.deb").touch()

    with pytest.raises(FileNotFoundError) as caught:
        samples(tmp_path, Split.TRAIN)

    message = str(caught.value)
    assert "'usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz'" in message
    assert f"'{tmp_path}' holds dataset.deb" in message
    assert "apt-get download dataset-fashion-mnist && " in message
