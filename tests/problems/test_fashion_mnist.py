import corpora
import numpy as np
import pytest

from t2t_mm import registry
from t2t_mm.features import Split

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


def test_a_wrong_folder_is_answered_by_what_it_holds_and_the_way_to_get_it(tmp_path):
    (tmp_path / "dataset.deb").touch()

    with pytest.raises(FileNotFoundError) as caught:
        samples(tmp_path, Split.TRAIN)

    message = str(caught.value)
    assert "'usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz'" in message
    assert f"'{tmp_path}' holds dataset.deb" in message
    assert "apt-get download dataset-fashion-mnist && " in message
