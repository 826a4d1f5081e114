"""MNIST: small pictures of handwritten digits."""

from t2t_mm import registry
from t2t_mm.data import corpus as corpora
from t2t_mm.features import Split
from t2t_mm.problems import idx_files, tfds_images


@registry.register_problem("mnist")
class Mnist(tfds_images.TfdsImageClasses):
    """Picture of a handwritten digit to the digit."""

    image_shape = (28, 28, idx_files.CHANNELS)
    class_names = tuple("0123456789")
    corpus = corpora.Corpus(
        name="mnist",
        title="the four files of MNIST",
        obtain="from http://yann.lecun.com/exdb/mnist/ or one of its many mirrors.",
        layout="\n".join(idx_files.FILES),
    )
    tfds_name = "mnist"
    tfds_splits = tfds_images.last_for_dev(idx_files.NUM_DEV_IMAGES)

    def corpus_samples(self, path: str, split: Split) -> tfds_images.Samples:
        """Yields the pictures of one split of the user's files."""
        return idx_files.samples(path, split)
