"""The thousand classes of ImageNet's challenge of 2012, as WordNet calls them."""

import functools
import importlib.util
import os

# Both are part of `tensorflow_datasets`, importing which would take TensorFlow.
_FOLDER = "datasets/imagenet2012"
_SYNSETS_FILE = "labels.txt"
_VALIDATION_FILE = "validation_labels.txt"  # by the number in a picture's name


@functools.cache
def synsets() -> tuple[str, ...]:
    """Returns names such as "n01440764", in the order of their labels."""
    return _read_lines(_SYNSETS_FILE)


@functools.cache
def labels() -> dict[str, int]:
    """Returns the label of each synset."""
    return {synset: label for label, synset in enumerate(synsets())}


@functools.cache
def validation_synsets() -> tuple[str, ...]:
    """Returns the classes of ILSVRC2012_val_00000001.JPEG and the 49,999 after it."""
    return _read_lines(_VALIDATION_FILE)


def _read_lines(name: str) -> tuple[str, ...]:
    spec = importlib.util.find_spec("tensorflow_datasets")  # finds, imports nothing
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(
            "ImageNet's lists of labels are in the package tensorflow-datasets. "
            "Install it with: pip install tensorflow-datasets"
        )
    path = os.path.join(spec.submodule_search_locations[0], _FOLDER, name)
    with open(path, encoding="utf-8") as file:
        return tuple(file.read().split())
