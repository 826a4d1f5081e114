import pytest
import text_corpora

from t2t_mm import registry
from t2t_mm.data import tfds_source
from t2t_mm.features import Split
from t2t_mm.problem import Rejected

registry.import_registrations()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("imdb")
    text_corpora.make_imdb(root)
    return root


def samples(path, split):
    problem = registry.problem("imdb")
    problem.corpus_path = str(path) if path else None
    return list(problem.generate_samples("", "", split))


def texts(path, split, label):
    return [s["inputs"] for s in samples(path, split) if s["label"] == label]


@pytest.mark.parametrize("label", ["neg", "pos"])
def test_reviews_are_read_with_their_labels(folder, label):
    assert sorted(texts(folder, Split.TEST, label)) == sorted(
        text_corpora.reviews("test", label)
    )
    train = texts(folder, Split.TRAIN, label) + texts(folder, Split.EVAL, label)
    assert sorted(train) == sorted(text_corpora.reviews("train", label))


def test_dev_is_a_tenth_of_training(folder):
    assert 4 <= len(samples(folder, Split.EVAL)) <= 20


def test_praise_and_blame_take_turns(folder):
    labels = [sample["label"] for sample in samples(folder, Split.TEST)]

    assert labels == ["neg", "pos"] * 60


def test_the_folder_itself_will_do(folder):
    expected = samples(folder, Split.TRAIN)

    assert samples(folder / "aclImdb", Split.TRAIN) == expected


def test_the_archive_gives_the_same(folder, tmp_path):
    members = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*.txt")
    }
    archive = tmp_path / "aclImdb_v1.tar.gz"
    text_corpora.write_archive(archive, members)

    for split in Split:
        assert samples(archive, split) == samples(folder, split)


def test_tensorflow_datasets_are_read_without_a_path(folder, monkeypatch):
    def of_part(part):
        return [
            {"text": text, "label": label, "tfds_id": f"{part} {number}"}
            for label, name in enumerate(("neg", "pos"))
            for number, text in enumerate(text_corpora.reviews(part, name))
        ]

    asked = []

    def read(name, split, tmp_dir):
        asked.append(name)
        return iter(of_part(split))

    monkeypatch.setattr(tfds_source, "samples", read)

    for split in Split:
        assert sorted(s["inputs"] for s in samples(None, split)) == sorted(
            s["inputs"] for s in samples(folder, split)
        )
    assert {s["label"] for s in samples(None, Split.TRAIN)} == {0, 1}
    assert set(asked) == {"imdb_reviews"}


def test_reviews_that_are_no_text_are_named_once(tmp_path):
    for name, content in (("0_1.txt", b"\xff"), ("1_1.txt", b" "), ("2_1.txt", b"ok")):
        path = tmp_path / "aclImdb" / "train" / "neg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    found = samples(tmp_path, Split.TRAIN)

    assert [s for s in found if isinstance(s, Rejected)] == [
        Rejected(name="train/neg/0_1.txt", reason="not UTF-8"),
        Rejected(name="train/neg/1_1.txt", reason="empty review", harmless=True),
    ]
    assert not any(isinstance(s, Rejected) for s in samples(tmp_path, Split.EVAL))


def test_another_folder_gets_the_page_of_help(tmp_path):
    (tmp_path / "readme.txt").touch()

    with pytest.raises(FileNotFoundError, match=r"holds readme\.txt"):
        samples(tmp_path, Split.TRAIN)


def test_classes_have_their_names():
    problem = registry.problem("imdb")

    assert problem.encode_targets("pos", "") == [1]
    assert problem.decode_targets([0], "") == "neg"
