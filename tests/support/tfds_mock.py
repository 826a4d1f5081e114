"""Datasets of TensorFlow Datasets with random content, prepared nowhere."""

import contextlib
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds
import tree
from tensorflow_datasets.testing import mocking

from t2t_mm.data import tfds_source

SAMPLES_OF_SOUND = 16000


class Random(mocking.RandomFakeGenerator):
    """Gives features of one sequence one length, and sound a second."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "constant_dynamic_shape": True})

    def _generate_random_obj(self, feature, tensor_info, rng):
        if isinstance(feature, tfds.features.Audio):
            sound = rng.integers(-9999, 9999, SAMPLES_OF_SOUND)
            return sound.astype(tensor_info.np_dtype)
        value = super()._generate_random_obj(feature, tensor_info, rng)
        if isinstance(feature, tfds.features.BBoxFeature):
            return np.sort(value)  # from the upper left to the lower right
        return value


class EncodedRandom(Random):
    """The same as a dataset keeps it: images as files."""

    def __iter__(self):
        for example in super().__iter__():
            encoded = self._features.encode_example(example)
            # TensorFlow does not take a str within an array within a list.
            yield tree.map_structure(_unpack_str, encoded)


def _unpack_str(value):
    is_array = isinstance(value, np.ndarray)
    return value.item() if is_array and value.dtype == object else value


@contextlib.contextmanager
def random_datasets(num_examples):
    """Within it, every dataset has as many examples in every split."""
    with (
        mock.patch.object(mocking, "RandomFakeGenerator", Random),
        mock.patch.object(mocking, "EncodedRandomFakeGenerator", EncodedRandom),
        mock.patch.object(tfds_source, "is_prepared", lambda _: True),
        tfds.testing.mock_data(num_examples),
    ):
        yield
