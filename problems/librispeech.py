"""LibriSpeech: a thousand hours of English audiobooks (Panayotov and others, 2015)."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from t2t_mm import problem, registry
from t2t_mm.data import archives, audio_problem, tfds_source
from t2t_mm.data import corpus as corpora
from t2t_mm.data.text_problem import VocabType
from t2t_mm.features import SpaceId, Split

URL = "https://www.openslr.org/resources/12/{}.tar.gz"
# Bytes and SHA-256 of the archives, as TensorFlow Datasets has them.
ARCHIVES = {
    "train-clean-100": (
        6387309499,
        "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
    ),
    "train-clean-360": (
        23049477885,
        "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
    ),
    "train-other-500": (
        30593501606,
        "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
    ),
    "dev-clean": (
        337926286,
        "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
    ),
    "dev-other": (
        314305928,
        "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
    ),
    "test-clean": (
        346663984,
        "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
    ),
    "test-other": (
        328757843,
        "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29",
    ),
}
ALL_TRAIN = ("train-clean-100", "train-clean-360", "train-other-500")
INT16_SCALE = 2**15

Parts = Mapping[Split, tuple[str, ...]]
Samples = Iterator[dict[str, Any] | problem.Rejected]


def parts_of(train: Sequence[str], dev: str, test: str) -> Parts:
    """Returns the parts of each split; dev and test may have several, with spaces."""
    names = (tuple(train), tuple(dev.split()), tuple(test.split()))
    return dict(zip(Split, names, strict=True))


def corpus_of(parts: Parts) -> corpora.Corpus:
    """Returns the corpus of some of the parts; all are in one folder."""
    names = [name for split in Split for name in parts[split]]
    return corpora.Corpus(
        name="librispeech",
        title="LibriSpeech, English audiobooks read by volunteers",
        obtain="from https://www.openslr.org/12; it is fetched if no PATH is given.",
        layout="\n".join(
            f"LibriSpeech/{name}/*/*/*.flac and *.trans.txt, or {name}.tar.gz"
            for name in names
        ),
        licence="CC BY 4.0.",
        downloads=tuple(
            corpora.Download(
                url=URL.format(name),
                file=f"{name}.tar.gz",
                num_bytes=ARCHIVES[name][0],
                sha256=ARCHIVES[name][1],
            )
            for name in names
        ),
    )


class _AudiobookProblem(audio_problem.SpeechRecognitionProblem):
    """Speech to small letters."""

    vocab_type = VocabType.BYTE
    target_space = SpaceId.EN_CHR
    parts: ClassVar[Parts]

    @property
    def dataset_splits(self) -> list[dict[str, Any]]:
        """The splits; an hour of sound is 115 MB."""
        num_shards = {Split.TRAIN: 100, Split.EVAL: 1, Split.TEST: 1}
        return [{"split": split, "shards": n} for split, n in num_shards.items()]

    def sample_parts(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Sequence[str]:
        """Returns the parts of a split."""
        return self.parts[Split(dataset_split)]

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Samples:
        """Yields the utterances of one split."""
        for part in self.sample_parts(data_dir, tmp_dir, dataset_split):
            yield from self.generate_part(data_dir, tmp_dir, dataset_split, part)


class LibrispeechProblem(_AudiobookProblem):
    """Speech to small letters, from folders or archives.

    Attributes:
      parts: those of each split, such as "train-clean-100".
    """

    def generate_part(
        self, data_dir: str, tmp_dir: str, dataset_split: Split, part: str
    ) -> Samples:
        """Yields the utterances of one part.

        Raises:
          FileNotFoundError: if the corpus lacks the part.
        """
        root = pathlib.Path(self.corpus_folder(tmp_dir))
        for folder in (root / "LibriSpeech" / part, root / part):
            if folder.is_dir():
                return read_folder(folder)
        archive = root / f"{part}.tar.gz"
        if archive.exists():
            return read_archive(archive)
        page = self.corpus.help_page(self.name, str(root)) if self.corpus else ""
        raise FileNotFoundError(f"There is no '{part}' in '{root}'. {page}")


def read_folder(folder: pathlib.Path) -> Samples:
    """Yields the utterances of `folder/SPEAKER/CHAPTER`, in the order of the paths."""
    for transcript in sorted(folder.glob("*/*/*.trans.txt")):
        for key, text in read_transcript(transcript.read_bytes()).items():
            path = transcript.with_name(f"{key}.flac")
            if path.exists():
                yield {"inputs": path, "targets": text, "name": key}
            else:
                yield problem.Rejected(name=key, reason="its sound file is missing")


def read_archive(archive: pathlib.Path) -> Samples:
    """Yields the utterances of an archive, whose folders are read one at a time."""
    sounds: dict[str, bytes] = {}
    texts: dict[str, str] = {}
    for member in archives.tar_members(str(archive)):
        path = pathlib.PurePosixPath(member.name)
        if path.name.endswith(".trans.txt"):
            texts.update(read_transcript(member.content))
        elif path.suffix == ".flac":
            sounds[path.stem] = member.content
        for key in [key for key in sounds if key in texts]:
            yield {"inputs": sounds.pop(key), "targets": texts.pop(key), "name": key}
    for key in texts:
        yield problem.Rejected(name=key, reason="its sound file is missing")
    for key in sounds:
        yield problem.Rejected(name=key, reason="it has no transcript")


def read_transcript(content: bytes) -> dict[str, str]:
    """Returns the texts of `SPEAKER-CHAPTER-0000 WORDS` lines, in small letters."""
    lines = content.decode("utf-8").split("\n")
    pairs = (line.strip().partition(" ") for line in lines if line.strip())
    return {key: text.strip().lower() for key, _, text in pairs}


@registry.register_problem("librispeech")
class Librispeech(LibrispeechProblem):
    """Audiobooks: all 960 hours; dev and test of clear and of hard voices."""

    parts = parts_of(ALL_TRAIN, "dev-clean dev-other", "test-clean test-other")
    corpus = corpus_of(parts)


@registry.register_problem("librispeech_clean")
class LibrispeechClean(LibrispeechProblem):
    """Audiobooks: 460 hours of clear voices."""

    parts = parts_of(ALL_TRAIN[:2], "dev-clean", "test-clean")
    corpus = corpus_of(parts)


@registry.register_problem("librispeech_clean_small")
class LibrispeechCleanSmall(LibrispeechProblem):
    """Audiobooks: 100 hours of clear voices."""

    parts = parts_of(ALL_TRAIN[:1], "dev-clean", "test-clean")
    corpus = corpus_of(parts)


@registry.register_problem("librispeech_noisy")
class LibrispeechNoisy(LibrispeechProblem):
    """Audiobooks: 500 hours of voices that are hard to understand."""

    parts = parts_of(ALL_TRAIN[2:], "dev-other", "test-other")
    corpus = corpus_of(parts)


@registry.register_problem("librispeech_train_full_test_clean")
class LibrispeechTrainFullTestClean(LibrispeechProblem):
    """Audiobooks: all 960 hours; dev and test of clear voices."""

    parts = parts_of(ALL_TRAIN, "dev-clean", "test-clean")
    corpus = corpus_of(parts)


@registry.register_problem("librispeech_train_full_test_other")
class LibrispeechTrainFullTestOther(LibrispeechProblem):
    """Audiobooks: all 960 hours; dev and test of hard voices."""

    parts = parts_of(ALL_TRAIN, "dev-other", "test-other")
    corpus = corpus_of(parts)


@registry.register_problem("librispeech_tfds")
class LibrispeechTfds(_AudiobookProblem):
    """Audiobooks: `librispeech`, as TensorFlow Datasets has prepared it."""

    tfds_name = "librispeech"
    parts = parts_of(
        ("train_clean100", "train_clean360", "train_other500"),
        "dev_clean dev_other",
        "test_clean test_other",
    )

    def generate_part(
        self, data_dir: str, tmp_dir: str, dataset_split: Split, part: str
    ) -> Samples:
        """Yields the utterances of one split of TensorFlow Datasets."""
        for sample in tfds_source.samples("librispeech", part, tmp_dir):
            yield {
                "inputs": np.asarray(sample["speech"], np.float32) / INT16_SCALE,
                "targets": sample["text"].lower(),
                "name": sample["tfds_id"],
            }
