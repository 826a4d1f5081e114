"""ImageNet: photographs of a thousand kinds of things (ILSVRC 2012)."""

import glob
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

from t2t_mm import problem, registry
from t2t_mm.data import archives, class_targets, image_problem, images, tfrecord_reader
from t2t_mm.data import corpus as corpora
from t2t_mm.features import Split
from t2t_mm.problems import image_files, imagenet_labels

Samples = Iterator[dict[str, Any] | problem.Rejected]

TAR_FILES = {
    Split.TRAIN: "ILSVRC2012_img_train.tar",
    Split.EVAL: "ILSVRC2012_img_val.tar",
}
RECORD_FILES = {
    Split.TRAIN: "train-[0-9]*-of-[0-9]*",
    Split.EVAL: "validation-[0-9]*-of-[0-9]*",
}
CLASS_FOLDERS = {Split.TRAIN: ("train",), Split.EVAL: ("val", "validation")}
# Where folders are in the archive of Kaggle.
FOLDERS_BELOW = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")
VALIDATION_LABELS_FILES = (
    "validation_labels.txt",
    "imagenet_2012_validation_synset_labels.txt",
)

WHOLE = ""  # the part of a split that has only one

# Lines like "n01440764 tench, Tinca tinca".
WORDS_FILES = ("synset_words.txt", "LOC_synset_mapping.txt")

_SYNSET_LENGTH = len("n01440764")
_SYNSET = re.compile(r"n\d{8}")
_VALIDATION_NUMBER = re.compile(r"ILSVRC2012_val_(\d{8})\.")

CORPUS = corpora.Corpus(
    name="imagenet",
    title="the pictures of ImageNet's challenge of 2012 (ILSVRC2012)",
    obtain=(
        "ask for access at https://image-net.org, or join the competition "
        "'imagenet-object-localization-challenge' of Kaggle."
    ),
    licence="for research and teaching only; the terms are on https://image-net.org.",
    layout=(
        "one of\n"
        "ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, as they were fetched\n"
        "train-00000-of-01024 ... and validation-00000-of-00128 ..., TFRecords of the "
        "Inception scripts\n"
        "train/n01440764/*.JPEG ... and val/, with folders of classes or "
        "ILSVRC2012_val_*.JPEG"
    ),
    stand_ins=("imagenette", "cifar10", "image_folder"),
)


@registry.register_problem("imagenet")
class ImageNet(class_targets.CorpusClassTargets, image_problem.Image2ClassProblem):
    """Photograph to one of a thousand classes, 299 pixels high and wide."""

    corpus = CORPUS
    image_shape = (299, 299, 3)
    image_fit = images.ImageFit.CROP

    @property
    def dataset_splits(self) -> list[dict[str, Any]]:
        """The splits; nobody has labels of the test split."""
        return [
            {"split": Split.TRAIN, "shards": 1024},
            {"split": Split.EVAL, "shards": 64},
        ]

    def sample_parts(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> list[str]:
        """Returns the archives in an archive, or the files of TFRecords, if any."""
        root, split = self.require_corpus_path(), Split(dataset_split)
        self.write_class_names(class_names(root), data_dir)
        tar = os.path.join(root, TAR_FILES[split])
        if os.path.exists(tar):
            return archives.inner_archives(tar) or [WHOLE]
        return record_files(root, split) or [WHOLE]

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Samples:
        """Yields the pictures of one split as the corpus has them."""
        for part in self.sample_parts(data_dir, tmp_dir, dataset_split):
            yield from self.generate_part(data_dir, tmp_dir, dataset_split, part)

    def generate_part(
        self, data_dir: str, tmp_dir: str, dataset_split: Split, part: str
    ) -> Samples:
        """Yields the pictures of one of `sample_parts`."""
        root, split = self.require_corpus_path(), Split(dataset_split)
        tar = os.path.join(root, TAR_FILES[split])
        if os.path.exists(tar):
            return tar_samples(tar, part or None, validation_synsets(root))
        if part:
            return record_samples(os.path.join(root, part))
        for below in FOLDERS_BELOW:
            for name in CLASS_FOLDERS[split]:
                folder = os.path.join(root, below, name)
                if os.path.isdir(folder):
                    return folder_samples(folder, validation_synsets(root))
        raise FileNotFoundError(
            f"'{root}' has no pictures of the split {split}. "
            f"{CORPUS.help_page(self.name, root)}"
        )


@registry.register_problem("imagenet224")
class ImageNet224(ImageNet):
    """Photograph to one of a thousand classes, 224 pixels high and wide."""

    image_shape = (224, 224, 3)


@registry.register_problem("imagenet64")
class ImageNet64(ImageNet):
    """Photograph to one of a thousand classes, 64 pixels high and wide."""

    image_shape = (64, 64, 3)


def class_names(root: str) -> list[str]:
    """Returns the synsets, each with its words if they are among `root`'s files."""
    words = {}
    for name in WORDS_FILES:
        if os.path.exists(path := os.path.join(root, name)):
            with open(path, encoding="utf-8") as file:
                words = {line[:_SYNSET_LENGTH]: line.rstrip("\n") for line in file}
    return [words.get(synset, synset) for synset in imagenet_labels.synsets()]


def validation_synsets(root: str) -> tuple[str, ...]:
    """Returns the classes of the validation pictures in the order of their numbers.

    Those of the challenge, unless there is a list of them among `root`'s files.
    """
    for name in VALIDATION_LABELS_FILES:
        if os.path.exists(path := os.path.join(root, name)):
            with open(path, encoding="utf-8") as file:
                return tuple(file.read().split())
    return imagenet_labels.validation_synsets()


def record_files(root: str, split: Split) -> list[str]:
    """Returns the names of the TFRecord files of a split."""
    return sorted(glob.glob(RECORD_FILES[split], root_dir=root))


def tar_samples(path: str, inner: str | None, validation: tuple[str, ...]) -> Samples:
    """Yields the pictures of a tar archive, or of one of the archives in it."""
    for name, content in archives.tar_members(path, inner):
        yield _sample(name, content, validation)


def folder_samples(folder: str, validation: tuple[str, ...]) -> Samples:
    """Yields the pictures in a folder and in folders of classes below it."""
    for path in image_files.find(folder):
        if isinstance(path, problem.Rejected):
            yield path
        else:
            name = os.path.relpath(path, os.path.dirname(folder))
            yield _sample(name, path, validation)


def _sample(
    name: str, inputs: bytes | pathlib.Path, validation: tuple[str, ...]
) -> dict[str, Any] | problem.Rejected:
    """Returns the sample of a picture; its name says which class it is of."""
    number = _VALIDATION_NUMBER.search(name)
    if synset := _SYNSET.search(name):
        label = imagenet_labels.labels().get(synset[0])
    elif number and 1 <= int(number[1]) <= len(validation):
        label = imagenet_labels.labels().get(validation[int(number[1]) - 1])
    else:
        return problem.Rejected(name=name, reason="not called like one of ImageNet's")
    if label is None:
        return problem.Rejected(name=name, reason="not of one of the 1000 classes")
    return {"name": name, "inputs": inputs, "targets": label}


def record_samples(path: str) -> Samples:
    """Yields the pictures of a TFRecord file of the Inception scripts."""
    for number, payload in enumerate(tfrecord_reader.payloads(path)):
        name = f"{os.path.basename(path)} record {number}"
        try:
            example = tfrecord_reader.decode_example(payload)
            (content,) = example["image/encoded"]
            (label,) = example["image/class/label"]
        except (KeyError, ValueError):
            reason = "not a picture with a label"
            yield problem.Rejected(name=name, reason=reason)
            continue
        # They count from 1: 0 is for background, which no picture is of.
        yield {"name": name, "inputs": content, "targets": label - 1}
