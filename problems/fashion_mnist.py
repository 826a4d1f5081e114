"""Fashion-MNIST: small pictures of ten kinds of clothes (arXiv:1708.07747)."""

from collections.abc import Iterator
from typing import Any, ClassVar

from t2t_mm import registry
from t2t_mm.data import corpus as corpora
from t2t_mm.data import image_problem
from t2t_mm.features import Split
from t2t_mm.problems import debian, idx_files, tfds_images

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@registry.register_problem("fashion_mnist")
class FashionMnist(tfds_images.TfdsImageClasses):
    """Picture of a piece of clothing to its kind."""

    image_shape = (28, 28, idx_files.CHANNELS)
    class_names = CLASS_NAMES
    corpus = corpora.Corpus(
        name="fashion_mnist",
        title="the four files of Fashion-MNIST",
        obtain="from https://github.com/zalandoresearch/fashion-mnist.",
        licence="MIT.",
        layout="\n".join(idx_files.FILES),
    )
    tfds_name = "fashion_mnist"
    tfds_splits = tfds_images.last_for_dev(idx_files.NUM_DEV_IMAGES)

    def corpus_samples(self, path: str, split: Split) -> tfds_images.Samples:
        """Yields the pictures of one split of the user's files."""
        return idx_files.samples(path, split)


@registry.register_problem("mini_fashion")
class MiniFashion(debian.PackageProblem, image_problem.Image2ClassProblem):
    """Picture of a piece of clothing to its kind, from a Debian package."""

    image_shape = (28, 28, idx_files.CHANNELS)
    class_names = CLASS_NAMES
    corpus = debian.packages_corpus("dataset-fashion-mnist")
    package_folder: ClassVar[str] = "usr/share/datasets/fashion-mnist"
    package_files: ClassVar[tuple[str, ...]] = idx_files.FILES

    def generate_samples(
        self, data_dir: str, tmp_dir: str, dataset_split: Split
    ) -> Iterator[dict[str, Any]]:
        """Yields the pictures of one split and their classes, in their order."""
        return idx_files.samples(self.require_corpus_path(), Split(dataset_split))
