import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pathlib

import pytest
import tensorflow_datasets as tfds

from t2t_mm import registry
from t2t_mm.data import corpus, dry_run, generation, text_problem
from t2t_mm.data.options import GenerationOptions

BOOKS = corpus.Corpus(
    name="books",
    title="all books",
    downloads=(
        corpus.Download(url="http://b.example/one.zip", file="one.zip", num_bytes=5000),
        corpus.Download(url="http://b.example/two.zip", file="two.zip"),
    ),
)
LETTERS = corpus.Corpus(name="letters", title="all letters", obtain="write some")


def problem_class(**attributes):
    def generate_samples(self, data_dir, tmp_dir, dataset_split):
        for number in range(50):
            yield {"inputs": f"{number} one", "targets": f"{number} two"}

    fields = {"__doc__": "Lines.", "generate_samples": generate_samples, **attributes}
    return type("Lines", (text_problem.Text2TextProblem,), fields)


@pytest.fixture(autouse=True)
def own_problems(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "PROBLEMS", registry.Registry("problem"))
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "nothing"))


def register(name, **attributes):
    attributes = {"vocab_type": "byte", **attributes}
    return registry.register_problem(name)(problem_class(**attributes))()


def report(tmp_path, *names, **options):
    before = sorted(tmp_path.rglob("*"))
    lines = dry_run.report(
        names,
        str(tmp_path / "data"),
        str(tmp_path / "tmp"),
        GenerationOptions(**options),
    )
    found = list(lines)
    assert sorted(tmp_path.rglob("*")) == before
    return found


def test_downloads_are_listed_with_size_and_place(tmp_path):
    register("books", corpus=BOOKS)

    lines = report(tmp_path, "books")

    assert lines[:4] == [
        "books: would be made (there are no records)",
        f"  fetch http://b.example/one.zip (5 kB) to {tmp_path}/tmp/books/one.zip",
        "  fetch http://b.example/two.zip (size unknown) to "
        f"{tmp_path}/tmp/books/two.zip",
        "To fetch: 5 kB and 1 files of unknown size.",
    ]
    assert lines[4].startswith(f"Free in {tmp_path}/tmp: ")
    assert lines[-1] == "Nothing was fetched, made or written."


def test_what_is_there_need_not_be_fetched(tmp_path):
    register("books", corpus=BOOKS)
    whole = tmp_path / "tmp/books/two.zip"
    half = tmp_path / "tmp/books.incomplete/one.zip"
    for file, size in ((whole, 7), (half, 2000)):
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(size))

    lines = report(tmp_path, "books")

    assert lines[1] == (
        "  fetch http://b.example/one.zip (5 kB, 2 kB are there) to "
        f"{tmp_path}/tmp/books/one.zip"
    )
    assert lines[2] == f"  read {whole} (7 bytes, there)"
    assert lines[3] == "To fetch: 3 kB."


def test_a_file_of_another_size_is_named(tmp_path):
    register("books", corpus=BOOKS)
    file = tmp_path / "tmp/books/one.zip"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"<html>")

    lines = report(tmp_path, "books")

    assert lines[0].startswith("books: cannot be made as it is")
    assert lines[1] == f"  lacking right {file}: it must have 5 kB and has 6 bytes"


def test_a_download_of_two_problems_is_counted_once(tmp_path):
    register("books", corpus=BOOKS)
    register("more_books", corpus=BOOKS)

    assert "To fetch: 5 kB and 1 files of unknown size." in report(
        tmp_path, "books", "more_books"
    )


def test_a_corpus_of_the_users_is_looked_for(tmp_path):
    register("letters", corpus=LETTERS)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/a.txt").touch()

    missing = report(tmp_path, "letters")
    path = str(tmp_path / "mine")
    there = report(tmp_path, "letters", corpus_paths={"letters": path})

    assert missing[0] == "letters: cannot be made as it is (there are no records)"
    assert missing[1].startswith("  lacking corpus: letters is made from all letters")
    assert missing[2] == "    How to obtain it: write some"
    assert there[:2] == [
        "letters: would be made (there are no records)",
        f"  read {path} ('{path}' holds a.txt)",
    ]


def test_what_is_up_to_date_is_left_alone(tmp_path):
    lines = register("lines")
    folders = str(tmp_path / "data"), str(tmp_path / "tmp")
    generation.generate(lines, *folders)

    assert report(tmp_path, "lines")[0] == f"lines: is up to date in {folders[0]}"
    again = report(tmp_path, "lines", random_seed=1)
    assert again[0].startswith("lines: would be made (`random_seed` was ")


def test_a_vocabulary_names_what_else_it_is_built_from(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "VOCABULARIES", registry.Registry("vocabulary"))
    registry.register_vocabulary(
        registry.VocabularySpec(
            name="both", approx_vocab_size=300, problems=("lines", "letters")
        )
    )
    register("lines", vocab_type="subword", vocabulary="both")
    register("letters", vocab_type="subword", vocabulary="both", corpus=LETTERS)

    lines = report(tmp_path, "lines")

    file = "vocab.both.300.subwords"
    assert f"  build {tmp_path}/data/{file} from lines, letters" in lines
    other = lines.index("letters: would be read for a vocabulary")
    assert lines[other + 1].startswith("  lacking corpus: letters is made from")


def test_datasets_of_tfds_name_their_files(tmp_path):
    register("cifar", tfds_name="cifar10")
    root = tmp_path / "tmp/tensorflow_datasets"

    lines = report(tmp_path, "cifar")

    assert lines[1] == f"  prepare cifar10/3.0.2 of TensorFlow Datasets in {root}"
    assert lines[2].startswith("  fetch https://www.cs.toronto.edu/~kriz/cifar-10-")
    assert lines[2].endswith(f"(170 MB) to {root}/files/cifar10/cifar-10-binary.tar.gz")
    assert lines[3].startswith("TensorFlow Datasets unpacks and copies")
    assert lines[4] == "To fetch: 170 MB."


def test_files_of_tfds_that_the_user_must_fetch_are_explained(tmp_path):
    register("pictures", tfds_name="imagenet2012")

    lines = report(tmp_path, "pictures")

    assert lines[0].startswith("pictures: cannot be made as it is")
    manual = tmp_path / "tmp/tensorflow_datasets/downloads/manual"
    assert f"  lacking corpus: put it into {manual} by hand (there is no" in lines[2]
    assert "ILSVRC2012_img_train.tar" in lines[3]


def test_a_path_comes_before_tfds(tmp_path):
    register("pictures", tfds_name="imagenet2012", corpus=LETTERS)
    path = str(pathlib.Path(__file__).parent)

    lines = report(tmp_path, "pictures", corpus_paths={"letters": path})

    assert lines[1].startswith(f"  read {path} (")
