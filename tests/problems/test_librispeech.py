import os

import pytest
import speech_corpora

from t2t_mm import problem, registry
from t2t_mm.features import Split
from t2t_mm.problems import librispeech

PART = "train-clean-100"


@pytest.fixture
def root(tmp_path):
    speech_corpora.write_librispeech(tmp_path)
    return tmp_path


def samples(root, split, name="librispeech"):
    made = registry.problem(name)
    made.corpus_path = str(root)
    return list(made.generate_samples("", "", split))


def speakers(found):
    return list(dict.fromkeys(sample["name"].split("-")[0] for sample in found))


@pytest.mark.parametrize(
    ("name", "train", "dev", "test"),
    [
        ("librispeech", "100 101 102", "103 104", "105 106"),
        ("librispeech_clean", "100 101", "103", "105"),
        ("librispeech_clean_small", "100", "103", "105"),
        ("librispeech_noisy", "102", "104", "106"),
        ("librispeech_train_full_test_clean", "100 101 102", "103", "105"),
        ("librispeech_train_full_test_other", "100 101 102", "104", "106"),
    ],
)
def test_variants_have_the_parts_that_their_names_say(root, name, train, dev, test):
    # The fixture has a speaker for each part.
    for split, expected in zip(Split, (train, dev, test), strict=True):
        assert speakers(samples(root, split, name)) == expected.split()


def test_a_folder_gives_paths_and_small_letters(root):
    first = samples(root, Split.TRAIN)[0]

    path = root / f"LibriSpeech/{PART}/100/7/100-7-0000.flac"
    text = "100 to 7 to 0000 it's"
    assert first == {"inputs": path, "targets": text, "name": "100-7-0000"}


def test_an_archive_gives_the_same_as_a_folder(root, tmp_path):
    files = speech_corpora.librispeech_files(PART, speaker=100, count=4)
    speech_corpora.write_tar(tmp_path / "a.tar.gz", files)

    from_folder = samples(root, Split.TRAIN)[:4]
    from_archive = list(librispeech.read_archive(tmp_path / "a.tar.gz"))

    made = registry.problem("librispeech")
    assert [made.encode(sample, "") for sample in from_archive] == [
        made.encode(sample, "") for sample in from_folder
    ]


def test_the_folder_of_the_parts_may_be_the_path(root):
    assert len(samples(root / "LibriSpeech", Split.TRAIN)) == 12


def test_sounds_and_texts_without_each_other_are_counted(tmp_path):
    files = speech_corpora.librispeech_files(PART, speaker=1, count=3)
    del files[f"LibriSpeech/{PART}/1/7/1-7-0001.flac"]
    files[f"LibriSpeech/{PART}/1/7/1-7-0009.flac"] = b""
    speech_corpora.write_tar(tmp_path / f"{PART}.tar.gz", files)
    for name, content in files.items():
        speech_corpora.write(tmp_path / "folder" / name, content)
    missing = problem.Rejected(name="1-7-0001", reason="its sound file is missing")
    silent = problem.Rejected(name="1-7-0009", reason="it has no transcript")

    archived = list(librispeech.read_archive(tmp_path / f"{PART}.tar.gz"))
    unpacked = samples(tmp_path / "folder", Split.TRAIN, "librispeech_clean_small")

    assert [s for s in archived if isinstance(s, problem.Rejected)] == [missing, silent]
    assert [s for s in unpacked if isinstance(s, problem.Rejected)] == [missing]
    assert len(archived) == 2 + 2
    assert len(unpacked) == 2 + 1


def test_a_missing_part_is_named_with_what_the_folder_must_hold(root):
    os.remove(root / "dev-other.tar.gz")

    with pytest.raises(FileNotFoundError) as caught:
        samples(root, Split.EVAL)

    message = str(caught.value)
    assert message.startswith(f"There is no 'dev-other' in '{root}'")
    assert "LibriSpeech/dev-other/*/*/*.flac and *.trans.txt" in message


def test_downloads_are_the_archives_of_the_parts():
    small = registry.problem("librispeech_clean_small").corpus

    urls = [download.url for download in small.downloads]
    assert urls == [
        f"https://www.openslr.org/resources/12/{part}.tar.gz"
        for part in (PART, "dev-clean", "test-clean")
    ]
    assert all(len(download.sha256) == 64 for download in small.downloads)
    every = registry.problem("librispeech").corpus.downloads
    # 57 GiB are published.
    assert sum(download.num_bytes for download in every) == pytest.approx(
        57 * 2**30, rel=0.01
    )
