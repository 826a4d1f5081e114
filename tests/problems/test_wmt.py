import gzip
import logging
import shutil
import tarfile

import pytest
import text_corpora

from t2t_mm import registry
from t2t_mm.data import downloads, generation, options, text_encoder, vocabulary
from t2t_mm.features import Split
from t2t_mm.problems import wmt, wmt_files

HELD_OUT = ("dev.tgz", "test-full.tgz")
NAMES = ("wmt_ende", "wmt_enfr", "wmt_defr")


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wmt")
    text_corpora.make_wmt(folder)
    return folder


@pytest.fixture
def some(tmp_path, archives):
    """A function that copies some of the files into a folder of their own."""

    def copy(*names):
        for name in names:
            shutil.copy(archives / name, tmp_path)
        return tmp_path

    return copy


def samples(name, folder, split):
    problem = registry.problem(name)
    problem.corpus_path = str(folder)
    return list(problem.generate_samples("", "", split))


def pairs(name, folder, split):
    return [(pair["inputs"], pair["targets"]) for pair in samples(name, folder, split)]


def expected(inputs, targets, *starts, count=12):
    return [
        pair
        for start in starts
        for pair in zip(
            text_corpora.sentences(inputs, start, count),
            text_corpora.sentences(targets, start, count),
            strict=True,
        )
    ]


@pytest.mark.parametrize(
    ("name", "languages", "starts"),
    [
        ("wmt_ende", ("en", "de"), (0, 100, 200)),
        ("wmt_enfr", ("en", "fr"), (5, 100, 200, 300, 400)),
        ("wmt_defr", ("de", "fr"), (500, 600, 700)),
    ],
)
def test_training_texts_are_read_from_the_archives(archives, name, languages, starts):
    before = sorted(archives.rglob("*"))

    assert pairs(name, archives, Split.TRAIN) == expected(*languages, *starts)
    assert sorted(archives.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "languages", "start", "count"),
    [
        ("wmt_ende", ("en", "de"), 1000, 7),
        ("wmt_enfr", ("en", "fr"), 1000, 7),
        ("wmt_defr", ("de", "fr"), 900, 6),
    ],
)
def test_dev_and_test_are_read_from_the_archives(
    archives, name, languages, start, count
):
    dev = expected(*languages, 800, count=5)
    test = expected(*languages, start, count=count)

    assert pairs(name, archives, Split.EVAL) == dev
    assert pairs(name, archives, Split.TEST) == test


@pytest.mark.parametrize("name", NAMES)
def test_unpacked_archives_give_the_same(tmp_path, archives, name):
    for archive in archives.glob("*.t*"):
        with tarfile.open(archive) as file:
            file.extractall(tmp_path / "deep" / archive.stem, filter="data")
    for packed in archives.rglob("*.gz"):
        unpacked = tmp_path / packed.stem
        unpacked.write_bytes(gzip.decompress(packed.read_bytes()))

    for split in Split:
        assert samples(name, tmp_path, split) == samples(name, archives, split)


def test_samples_are_named_by_text_and_line(archives):
    names = [sample["name"] for sample in samples("wmt_ende", archives, Split.TRAIN)]

    assert names[0] == "europarl-v7.de-en line 1"
    assert names[-1] == "news-commentary-v11.de-en line 12"


def test_what_is_there_is_used_and_the_rest_is_said(some, caplog):
    folder = some(
        "training-parallel-commoncrawl.tgz", "training-parallel-nc-v9.tgz", *HELD_OUT
    )

    with caplog.at_level(logging.INFO, logger="absl"):
        found = pairs("wmt_ende", folder, Split.TRAIN)

    assert found == expected("en", "de", 100, 200)
    assert (
        "wmt_ende train | texts: commoncrawl.de-en, news-commentary-v9.de-en; "
        "missing: europarl-v7.de-en"
    ) in caplog.text


def test_the_newer_news_commentary_replaces_the_older(some):
    versions = ("training-parallel-nc-v9.tgz", "training-parallel-nc-v11.tgz")
    folder = some(*versions, *HELD_OUT)

    names = {pair["name"].split()[0] for pair in samples("wmt_ende", folder, "train")}

    assert names == {"news-commentary-v11.de-en"}


def test_a_file_on_its_own_comes_before_an_archive(some):
    folder = some("training-parallel-commoncrawl.tgz", *HELD_OUT)
    (folder / "commoncrawl.de-en.en").write_bytes(b"Mine\n")
    (folder / "commoncrawl.de-en.de.gz").write_bytes(gzip.compress(b"Meins\n"))

    assert pairs("wmt_ende", folder, Split.TRAIN) == [("Mine", "Meins")]


def test_one_side_alone_is_refused(tmp_path):
    (tmp_path / "commoncrawl.de-en.en").write_bytes(b"Mine\n")

    with pytest.raises(ValueError, match=r"commoncrawl\.de-en must have .*only.*\.en'"):
        samples("wmt_ende", tmp_path, Split.TRAIN)


def test_dev_is_also_found_as_sgm(tmp_path):
    for kind, language in (("src", "en"), ("ref", "de")):
        segments = text_corpora.sentences(language, 3, 2)
        content = text_corpora.sgm(segments, kind, language)
        (tmp_path / f"newstest2013-{kind}.{language}.sgm").write_bytes(content)

    dev = pairs("wmt_ende", tmp_path, Split.EVAL)

    assert dev == expected("en", "de", 3, count=2)


def test_test_files_of_the_other_direction_will_do(tmp_path):
    members = {
        f"dev/newstest2014-deen-{kind}.{language}.sgm": text_corpora.sgm(
            text_corpora.sentences(language, 3, 2), kind, language
        )
        for kind, language in (("src", "de"), ("ref", "en"))
    }
    text_corpora.write_archive(tmp_path / "dev.tgz", members)

    test = pairs("wmt_ende", tmp_path, Split.TEST)

    assert test == expected("en", "de", 3, count=2)


def test_a_test_set_that_is_missing_is_named(some):
    folder = some("training-parallel-commoncrawl.tgz", "dev.tgz")

    with pytest.raises(
        FileNotFoundError, match=r"wmt_ende \(test\) needs newstest2014"
    ):
        samples("wmt_ende", folder, Split.TEST)


@pytest.mark.parametrize("file", ["dev.tgz", "training-parallel-un.tgz"])
def test_a_folder_without_text_of_a_pair_gets_the_page_of_help(some, file, tmp_path):
    cases = options.GenerationOptions(corpus_paths={"wmt": str(some(file))})
    data_dir = tmp_path / "data"

    with pytest.raises(FileNotFoundError) as error:
        generation.generate(
            registry.problem("wmt_ende"), str(data_dir), str(data_dir), cases
        )

    page = str(error.value)
    assert "--corpus_path=wmt=PATH" in page
    assert file in page
    assert "training-parallel-europarl-v7.tgz" in page


def test_traps_of_real_texts_are_counted_or_read(some, tmp_path):
    """One file with all of them, beside good ones, becomes records."""
    folder = some(*HELD_OUT)
    english = [f"Number {n}".encode() for n in range(400)]
    german = [f"Nummer {n}".encode() for n in range(400)]
    english[1] = german[2] = b""
    english[3] = "in\u2028side\x85here".encode()
    english[4] += b"\r"
    german[5] = b"sch\xf6n"
    german[6] = b"x" * 100_000
    for language, side in (("en", english), ("de", german)):
        content = b"\n".join(side) + b"\n"
        (folder / f"europarl-v7.de-en.{language}").write_bytes(content)
    cases = options.GenerationOptions(corpus_paths={"wmt": str(folder)})
    data_dir = str(tmp_path / "data")

    made = generation.generate(registry.problem("wmt_ende"), data_dir, data_dir, cases)

    assert made.splits[Split.TRAIN].index.count == 400 - 4
    told = str(made.rejected)
    for line in (2, 3):
        assert f"europarl-v7.de-en line {line}'" in told
    for line in (6, 7):
        assert f"europarl-v7.de-en.de line {line}'" in told


# The vocabulary.


def test_every_text_has_its_share_of_the_vocabulary(archives):
    problem = registry.problem("wmt_enfr")
    problem.corpus_path = str(archives)

    texts = problem.generate_text_for_vocab("", "")
    first = [next(texts) for _ in range(10)]

    starts = (5, 100, 200, 300, 400)
    assert first == [
        text
        for start in starts
        for language in ("en", "fr")
        for text in text_corpora.sentences(language, start, 1)
    ]
    assert len(list(texts)) == 2 * 12 * len(starts) - 10


def test_large_texts_do_not_crowd_out_the_small(archives, monkeypatch):
    monkeypatch.setattr(wmt, "VOCABULARY_LINES", 4)
    problem = registry.problem("wmt_ende")
    problem.corpus_path = str(archives)

    texts = list(problem.generate_text_for_vocab("", ""))

    assert len(texts) == 2 * 4 * 3
    assert set(text_corpora.sentences("de", 0, 4)) < set(texts)


def test_texts_of_other_lengths_are_used_up(tmp_path):
    for name, count in (("europarl-v7", 1), ("commoncrawl", 3)):
        for language in ("en", "de"):
            content = text_corpora.lines(language, 0, count)
            (tmp_path / f"{name}.de-en.{language}").write_bytes(content)
    problem = registry.problem("wmt_ende")
    problem.corpus_path = str(tmp_path)

    assert len(list(problem.generate_text_for_vocab("", ""))) == 2 * (1 + 3)


def test_one_vocabulary_serves_whatever_pairs_there_are(some, tmp_path, caplog):
    folder = some("training-parallel-nc-v11.tgz", *HELD_OUT)
    cases = options.GenerationOptions(corpus_paths={"wmt": str(folder)})
    problem = registry.problem("wmt_ende")

    made = generation.generate(problem, str(tmp_path), str(tmp_path / "tmp"), cases)

    assert made.vocabulary.name == "wmt"
    assert made.vocabulary.file == "vocab.wmt.8192.subwords"
    encoder = text_encoder.load_subword_encoder(str(tmp_path / made.vocabulary.file))
    assert len(encoder.encode("Nummer")) < len("Nummer")
    assert "there is no text of wmt_enfr in" in caplog.text
    counts = {split: files.index.count for split, files in made.splits.items()}
    assert counts == {Split.TRAIN: 12, Split.EVAL: 5, Split.TEST: 7}


def test_what_is_fetched_for_the_vocabulary_alone_is_announced(
    some, tmp_path, monkeypatch, caplog
):
    folder = some("training-parallel-nc-v11.tgz", *HELD_OUT)
    monkeypatch.setattr(downloads, "fetch", lambda corpus, tmp_dir: str(folder))
    problem = registry.problem("wmt_ende")

    vocabulary.ensure(problem, str(tmp_path), "", options.GenerationOptions())

    (line,) = [line for line in caplog.messages if "as well" in line]
    assert "wmt_enfr, wmt_defr" in line
    assert "have 5.33 GB" in line  # by hand, without what wmt_ende needs itself
    assert "--vocabulary=NAME" in line


# Downloads.


@pytest.mark.parametrize("name", NAMES)
def test_downloads_are_enough_for_every_split(name):
    problem = registry.problem(name)
    files = {download.file for download in problem.corpus.downloads}
    archives = {file.split(".tgz")[0].split(".tar")[0] for file in files}

    for split in Split:
        for options_of_text in problem.bitexts[split]:
            assert any(
                archives & set(bitext.archives)
                or {f"{file}.gz" for file in bitext.files} <= files
                for bitext in options_of_text
            )
    for download in problem.corpus.downloads:
        assert download.num_bytes > 1e6
        assert len(download.sha256) == 64


def test_the_help_page_says_what_is_downloaded():
    page = wmt_files.corpus("x", wmt_files.EUROPARL).help_page("wmt_ende", None)

    assert "http://www.statmt.org/wmt13/training-parallel-europarl-v7.tgz" in page
