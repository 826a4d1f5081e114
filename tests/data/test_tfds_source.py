import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hashlib
import io
import socket
import time

import file_server
import numpy as np
import pytest
import tensorflow_datasets as tfds
import tfds_mock
from PIL import Image

from t2t_mm.data import http_file, tfds_source

TEXT = "eins\nzwei – ½\ndrei\n"
NUM_PICTURES = 600  # more than are read at a time


def picture(number):
    image = np.full((2, 3, 3), number % 251, np.uint8)
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return content.getvalue()


class TinyPictures(tfds.core.GeneratorBasedBuilder):
    """Needs no files."""

    VERSION = tfds.core.Version("1.2.3")

    def _info(self):
        features = {
            "picture": tfds.features.Image(shape=(2, 3, 3)),
            "deep": {"picture": tfds.features.Image(shape=(2, 3, 3))},
            "word": tfds.features.Text(),
            "label": tfds.features.ClassLabel(names=["even", "odd"]),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        return {"train": self._examples(NUM_PICTURES), "test": self._examples(2)}

    def _examples(self, count):
        for number in range(count):
            image = io.BytesIO(picture(number))
            yield (
                number,
                {
                    "picture": image,
                    "deep": {"picture": picture(number)},
                    "word": f"n° {number}",
                    "label": number % 2,
                },
            )

    def _generate_examples(self):
        raise NotImplementedError


class TinyLines(tfds.core.GeneratorBasedBuilder):
    """Reads a file from a server; keeps each line's words and their lengths."""

    VERSION = tfds.core.Version("1.0.0")
    address = None
    url_infos = None

    def _info(self):
        features = {
            "line": tfds.features.Text(),
            "parts": tfds.features.Sequence(
                {"text": tfds.features.Text(), "length": np.int64}
            ),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        path = dl_manager.download_and_extract({"lines": self.address})["lines"]
        return {"train": self._generate_examples(path)}

    def _generate_examples(self, path):
        for number, line in enumerate(path.read_text().splitlines()):
            words = line.split()
            parts = [{"text": word, "length": len(word)} for word in words]
            yield number, {"line": line, "parts": parts}


class TinyManual(tfds.core.GeneratorBasedBuilder):
    """Reads a file that must be put there by hand."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Ask the librarian for lines.txt."

    def _info(self):
        features = tfds.features.FeaturesDict({"line": tfds.features.Text()})
        return self.dataset_info_from_configs(features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(dl_manager.manual_dir / "lines.txt")}

    def _generate_examples(self, path):
        for number, line in enumerate(path.read_text().splitlines()):
            yield number, {"line": line}


@pytest.fixture(autouse=True)
def no_other_data(tmp_path_factory, monkeypatch):
    empty = str(tmp_path_factory.mktemp("empty"))
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", empty)
    monkeypatch.setattr(http_file, "SECONDS_BEFORE_TRY", 0.01)


@pytest.fixture
def server(monkeypatch):
    with file_server.running() as running:
        running.files["lines.txt"] = TEXT.encode()
        monkeypatch.setattr(TinyLines, "address", running.url("lines.txt"))
        know(monkeypatch, running.url("lines.txt"))
        yield running


def know(monkeypatch, url):
    """Lets TFDS know size and SHA-256 of the text."""
    info = tfds.core.download.checksums.UrlInfo(
        size=len(TEXT.encode()),
        checksum=hashlib.sha256(TEXT.encode()).hexdigest(),
        filename=None,
    )
    monkeypatch.setattr(TinyLines, "url_infos", {url: info})


def read(name, tmp_path, split="train"):
    return list(tfds_source.samples(name, split, str(tmp_path)))


# What comes out.


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return read("tiny_pictures", tmp_path_factory.mktemp("pictures"))


def test_images_are_files_and_text_is_str(pictures):
    sample = pictures[7]

    assert set(sample) == {"picture", "deep", "word", "label", "tfds_id"}
    assert isinstance(sample["picture"], bytes)
    for image in (sample["picture"], sample["deep"]["picture"]):
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(image))),
            np.asarray(Image.open(io.BytesIO(picture(int(sample["word"][3:]))))),
        )
    assert sample["word"].startswith("n° ")
    assert int(sample["word"][3:]) % 2 == sample["label"]
    assert sample["tfds_id"] == "tiny_pictures-train.tfrecord-00000-of-00001__7"


def test_every_sample_comes_once_in_an_order_that_stays(pictures, tmp_path):
    again = read("tiny_pictures", tmp_path)

    words = [sample["word"] for sample in pictures]
    assert words == [sample["word"] for sample in again]
    assert sorted(words) == sorted(f"n° {number}" for number in range(NUM_PICTURES))


def test_sequences_are_lists_of_str_and_arrays(server, tmp_path):
    samples = {sample["line"]: sample for sample in read("tiny_lines", tmp_path)}

    assert samples.keys() == {"eins", "zwei – ½", "drei"}
    parts = samples["zwei – ½"]["parts"]
    assert parts["text"] == ["zwei", "–", "½"]
    np.testing.assert_array_equal(parts["length"], [4, 1, 1])


def test_a_part_of_a_split_can_be_read(pictures, tmp_path):
    found = read("tiny_pictures", tmp_path, "train[:50%]")

    assert [s["word"] for s in found] == [s["word"] for s in pictures[:300]]


def test_a_split_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ValueError, match="tiny_pictures/1.2.3.*split 'dev'"):
        read("tiny_pictures", tmp_path, "dev")


def test_a_dataset_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ValueError, match="does not have 'no_such_dataset'"):
        read("no_such_dataset", tmp_path)


# Where it comes from.


@pytest.mark.parametrize("is_known", [True, False])
def test_files_are_fetched_once_and_resumed(is_known, server, tmp_path, monkeypatch):
    if not is_known:
        monkeypatch.setattr(TinyLines, "url_infos", None)
        server.tag = '"1"'
    server.cut_after = [5]
    first = read("tiny_lines", tmp_path)
    second = read("tiny_lines", tmp_path)

    assert server.gets() == [None, "bytes=5-"]
    assert len(first) == 3
    assert [s["line"] for s in first] == [s["line"] for s in second]


def test_a_file_put_there_by_hand_needs_no_network(tmp_path, monkeypatch):
    url = "http://books.example/lines.txt"
    monkeypatch.setattr(TinyLines, "address", url)
    know(monkeypatch, url)
    folder = tmp_path / "tensorflow_datasets/files/tiny_lines"
    folder.mkdir(parents=True)
    (folder / "lines.txt").write_text(TEXT)

    assert len(read("tiny_lines", tmp_path)) == 3


def test_without_a_network_the_files_are_named_within_seconds(tmp_path, monkeypatch):
    with socket.socket() as unused:  # bound, but nobody listens
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/lines.txt"
        monkeypatch.setattr(TinyLines, "address", url)
        know(monkeypatch, url)
        start = time.monotonic()
        with pytest.raises(OSError) as caught:
            read("tiny_lines", tmp_path)

    assert time.monotonic() - start < 3
    message = str(caught.value)
    path = tmp_path / "tensorflow_datasets/files/tiny_lines/lines.txt"
    assert f"{path} ({len(TEXT.encode())} bytes) from {url}" in message
    assert "TFDS_DATA_DIR=FOLDER" in message


def test_wrong_content_is_named(server, tmp_path):
    server.files["lines.txt"] = b"x" * len(TEXT.encode())

    with pytest.raises(ValueError, match="must have the SHA-256"):
        read("tiny_lines", tmp_path)


def test_a_dataset_that_is_prepared_elsewhere_is_read_there(
    server, tmp_path, monkeypatch
):
    elsewhere = str(tmp_path / "mine")
    read("tiny_lines", elsewhere)
    prepared = os.path.join(elsewhere, tfds_source.FOLDER)
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", prepared)
    server.requests.clear()

    assert len(read("tiny_lines", tmp_path / "empty")) == 3
    assert server.requests == []
    assert not (tmp_path / "empty").exists()


def test_files_of_the_users_own_are_asked_for(tmp_path):
    folder = tmp_path / "tensorflow_datasets/downloads/manual"
    with pytest.raises(FileNotFoundError) as caught:
        read("tiny_manual", tmp_path)
    folder.mkdir(parents=True)
    (folder / "lines.txt").write_text(TEXT)

    assert f"'{folder}'" in str(caught.value)
    assert "Ask the librarian for lines.txt." in str(caught.value)
    assert len(read("tiny_manual", tmp_path)) == 3


def test_a_plan_names_the_files_and_writes_nothing(server, tmp_path):
    plan = tfds_source.plan("tiny_lines", str(tmp_path))

    assert plan.name == "tiny_lines/1.0.0"
    assert plan.prepared is None
    (download,) = plan.corpus.downloads
    assert (download.url, download.file) == (server.url("lines.txt"), "lines.txt")
    assert download.num_bytes == len(TEXT.encode())
    assert list(tmp_path.iterdir()) == []
    read("tiny_lines", tmp_path)
    prepared = tfds_source.plan("tiny_lines", str(tmp_path)).prepared
    assert prepared == str(tmp_path / "tensorflow_datasets/tiny_lines/1.0.0")


@pytest.mark.parametrize(
    ("name", "files", "num_bytes"),
    [
        ("mnist", 4, 11_594_722),
        ("cifar10", 1, 170_052_171),
        ("imdb_reviews", 1, 84_125_825),
        ("wmt14_translate/de-en", 4, 1_695_017_123),
        ("imagenette/full-size-v2", 1, 1_557_161_267),
    ],
)
def test_only_the_files_of_a_configuration_are_planned(
    name, files, num_bytes, tmp_path
):
    downloads = tfds_source.plan(name, str(tmp_path)).corpus.downloads

    assert len(downloads) == files
    assert sum(download.num_bytes for download in downloads) == num_bytes
    assert all(download.sha256 for download in downloads)


def test_a_plan_says_what_must_be_fetched_by_hand(tmp_path):
    plan = tfds_source.plan("imagenet2012", str(tmp_path))

    assert "ILSVRC2012_img_train.tar" in plan.manual
    assert plan.manual_dir.startswith(str(tmp_path))


# Random datasets, as the tests of problems use them.


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("wmt14_translate/de-en", {"de": str, "en": str}),
        ("imdb_reviews", {"text": str, "label": np.integer}),
        ("cifar10", {"image": bytes, "label": np.integer}),
        ("mnist", {"image": bytes, "label": np.integer}),
        ("imagenette", {"image": bytes, "label": np.integer}),
        ("coco_captions", {"image": bytes, "captions": dict}),
        ("librispeech", {"speech": np.ndarray, "text": str}),
    ],
)
def test_random_datasets_have_the_types_of_the_real_ones(name, types, tmp_path):
    with tfds_mock.random_datasets(3):
        samples = read(name, tmp_path)

    assert len(samples) == 3
    for sample in samples:
        for feature, expected in types.items():
            assert isinstance(sample[feature], expected)
        if "label" in sample:
            assert 0 <= sample["label"] < 10
        if "image" in sample:
            Image.open(io.BytesIO(sample["image"])).load()
        if "captions" in sample:
            assert all(isinstance(text, str) for text in sample["captions"]["text"])
