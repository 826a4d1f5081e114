"""CIFAR: photographs of 32x32 pixels, of ten or a hundred kinds of things."""

from typing import ClassVar

from t2t_mm import registry
from t2t_mm.data import corpus as corpora
from t2t_mm.features import Split
from t2t_mm.problems import cifar_files, tfds_images

NUM_DEV_IMAGES = 5000  # the last of the 50,000 training images
OBTAIN = "from https://www.cs.toronto.edu/~kriz/cifar.html, either version."


class _CifarProblem(tfds_images.TfdsImageClasses):
    """Photograph to the kind of thing on it.

    Attributes:
      files: how the files of the data set are called.
    """

    image_shape = (cifar_files.SIZE, cifar_files.SIZE, cifar_files.CHANNELS)
    files: ClassVar[cifar_files.Files]
    tfds_splits = tfds_images.last_for_dev(NUM_DEV_IMAGES)

    def corpus_samples(self, path: str, split: Split) -> tfds_images.Samples:
        """Yields the pictures of one split of the user's files."""
        names = self.files.test if split == Split.TEST else self.files.train
        pictures, labels = cifar_files.read(path, names, self.files)
        rows = tfds_images.rows_of(split, NUM_DEV_IMAGES)
        for picture, label in zip(pictures[rows], labels[rows], strict=True):
            yield {"inputs": picture, "targets": int(label)}


@registry.register_problem("cifar10")
class Cifar10(_CifarProblem):
    """Photograph to one of ten kinds of things."""

    class_names = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )
    corpus = corpora.Corpus(
        name="cifar10",
        title="the archive of CIFAR-10",
        obtain=OBTAIN,
        layout="cifar-10-python.tar.gz or cifar-10-binary.tar.gz, or what is in them.",
    )
    tfds_name = "cifar10"
    files = cifar_files.Files(
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test=("test_batch",),
        folders=("cifar-10-batches-py", "cifar-10-batches-bin"),
        archives=("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"),
        labels_key="labels",
        num_label_bytes=1,
    )


@registry.register_problem("cifar100")
class Cifar100(_CifarProblem):
    """Photograph to one of a hundred kinds of things."""

    class_names = tuple(
        """
        apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy
        bridge bus butterfly camel can castle caterpillar cattle chair chimpanzee clock
        cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
        forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
        lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange
        orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
        possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper
        snail snake spider squirrel streetcar sunflower sweet_pepper table tank
        telephone television tiger tractor train trout tulip turtle wardrobe whale
        willow_tree wolf woman worm
        """.split()
    )
    corpus = corpora.Corpus(
        name="cifar100",
        title="the archive of CIFAR-100",
        obtain=OBTAIN,
        layout=(
            "cifar-100-python.tar.gz or cifar-100-binary.tar.gz, or what is in them."
        ),
    )
    tfds_name = "cifar100"
    files = cifar_files.Files(
        train=("train",),
        test=("test",),
        folders=("cifar-100-python", "cifar-100-binary"),
        archives=("cifar-100-python.tar.gz", "cifar-100-binary.tar.gz"),
        labels_key="fine_labels",
        num_label_bytes=2,  # the coarse label comes first
    )
