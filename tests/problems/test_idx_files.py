import gzip

import corpora
import numpy as np
import pytest

from t2t_mm import registry
from t2t_mm.features import Split
from t2t_mm.problems import idx_files


def test_idx_files_keep_the_order_of_their_axes(tmp_path):
    array = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
    corpora.write_idx(tmp_path / "a.gz", array)

    found = idx_files.read_idx(str(tmp_path / "a.gz"), idx_files.IMAGES_MAGIC)

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
    ids=["cut off", "not compressed", "too few values", "too short", "labels"],
)
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, content, complaint):
    path = tmp_path / "images.gz"
    path.write_bytes(content)

    with pytest.raises(ValueError) as caught:
        idx_files.read_idx(str(path), idx_files.IMAGES_MAGIC)

    assert f"'{path}' must be a whole idx file" in str(caught.value)
    assert complaint in str(caught.value)


def test_there_must_be_a_label_for_every_image(tmp_path):
    corpora.write_fashion_part(tmp_path, "t10k", 7)
    folder = tmp_path / corpora.FASHION_FOLDER
    labels = folder / idx_files.LABELS_FILE.format("t10k")
    corpora.write_idx(labels, np.zeros(6, np.uint8))

    with pytest.raises(ValueError, match="7 images and 6 labels"):
        idx_files.read_part(str(folder), "t10k")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
@pytest.mark.parametrize("spelling", ["-idx", ".idx"])
def test_unpacked_files_are_read_however_they_are_spelt(tmp_path, name, spelling):
    corpora.write_fashion_part(tmp_path, "t10k", 7)
    folder = tmp_path / corpora.FASHION_FOLDER
    for path in list(folder.iterdir()):
        unpacked = folder / path.stem.replace("-idx", spelling)
        unpacked.write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    made = registry.problem(name)
    made.corpus_path = str(folder)

    found = list(made.generate_samples("", "", Split.TEST))

    assert [sample["targets"] for sample in found] == list(range(7))
    assert [sample["inputs"].max() for sample in found] == list(range(7))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no 'train-images-idx3-ubyte.gz' or"):
        list(idx_files.samples(str(tmp_path), Split.TRAIN))
