"""Pictures in a folder for each class: a user's own, or Imagenette's."""

import os
from typing import ClassVar

from t2t_mm import problem, registry
from t2t_mm.data import class_targets, image_problem, images
from t2t_mm.data import corpus as corpora
from t2t_mm.features import Split
from t2t_mm.problems import image_files, split_folders, tfds_images


def samples(
    folder: split_folders.SplitFolder, labels: dict[str, int]
) -> tfds_images.Samples:
    """Yields the pictures of a split below folders that are called like classes."""
    for class_name in image_files.class_folders(folder.path):
        for path in image_files.find(os.path.join(folder.path, class_name)):
            if isinstance(path, problem.Rejected):
                yield path
                continue
            name = path.relative_to(folder.path).as_posix()
            if not folder.has(name):
                continue
            if class_name not in labels:
                reason = "of a class that training has not"
                yield problem.Rejected(name=name, reason=reason)
                continue
            yield {"name": name, "inputs": path, "targets": labels[class_name]}


@registry.register_problem("image_folder")
class ImageFolder(class_targets.CorpusClassTargets, image_problem.Image2ClassProblem):
    """Picture to the name of its folder, 224 pixels high and wide."""

    image_shape = (224, 224, 3)
    image_fit = images.ImageFit.CROP
    corpus: ClassVar[corpora.Corpus] = corpora.Corpus(
        name="image_folder",
        title="a folder of your own pictures, in a folder for each class",
        layout=(
            "train/CLASS/*.jpg, dev/CLASS/*.jpg and test/CLASS/*.jpg, or\n"
            "CLASS/*.jpg, of which a tenth each is for dev and test"
        ),
    )

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> tfds_images.Samples:
        """Yields the pictures of one split and their classes."""
        root = self.require_corpus_path()
        classes = image_files.class_folders(
            split_folders.SplitFolder(root, Split.TRAIN).path
        )
        if not classes:
            raise FileNotFoundError(
                f"There are no folders of classes in '{root}'. "
                f"{self.corpus.help_page(self.name, root)}"
            )
        self.write_class_names(classes, data_dir)
        labels = {name: label for label, name in enumerate(classes)}
        return samples(split_folders.SplitFolder(root, Split(dataset_split)), labels)


@registry.register_problem("image_folder64")
class ImageFolder64(ImageFolder):
    """Picture to the name of its folder, 64 pixels high and wide."""

    image_shape = (64, 64, 3)


@registry.register_problem("imagenette")
class Imagenette(tfds_images.TfdsImageClasses):
    """Photograph to one of ten of ImageNet's classes that are easy to tell apart."""

    image_shape = (224, 224, 3)
    image_fit = images.ImageFit.CROP
    # In the order of their names in WordNet, as TensorFlow Datasets has them.
    synsets: ClassVar[dict[str, str]] = {
        "n01440764": "tench",
        "n02102040": "English springer",
        "n02979186": "cassette player",
        "n03000684": "chain saw",
        "n03028079": "church",
        "n03394916": "French horn",
        "n03417042": "garbage truck",
        "n03425413": "gas pump",
        "n03445777": "golf ball",
        "n03888257": "parachute",
    }
    class_names = tuple(synsets.values())
    corpus = corpora.Corpus(
        name="imagenette",
        title="an unpacked archive of Imagenette, such as imagenette2-320.tgz",
        obtain="from https://github.com/fastai/imagenette.",
        licence="Apache-2.0; the pictures are ImageNet's.",
        layout="train/n01440764/*.JPEG ... and val/n01440764/*.JPEG ...",
    )
    tfds_name = "imagenette/320px-v2"
    tfds_splits = {
        Split.TRAIN: "train[:90%]",
        Split.EVAL: "train[90%:]",
        Split.TEST: "validation",
    }

    def corpus_samples(self, path: str, split: Split) -> tfds_images.Samples:
        """Yields the pictures of one split of the user's files."""
        labels = {synset: label for label, synset in enumerate(self.synsets)}
        # What is called val is what results are published for.
        folders = {Split.TRAIN: ("train",), Split.EVAL: (), Split.TEST: ("val",)}
        return samples(split_folders.SplitFolder(path, split, folders), labels)
