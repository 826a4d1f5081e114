import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from t2t_mm import hparam, registry
from t2t_mm.data import generation

registry.import_registrations()


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory):
    """A folder with the records of copy_digits; tests must not change it."""
    data_dir = str(tmp_path_factory.mktemp("digits"))
    generation.generate(registry.problem("copy_digits"), data_dir, data_dir)
    return data_dir


@pytest.fixture
def hparams():
    return hparam.HParams(batch_size=512, batch_examples=5, max_buckets=3)
