import collections

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing import event_file_loader

from t2t_mm.training import history

PLUGIN_OF_HPARAMS = "_hparams_/session_start_info"


@pytest.fixture(scope="module")
def written(smallest_run_dir):
    """Returns {split: {tag: {step: tensor}}} of what TensorBoard is given."""
    written = collections.defaultdict(lambda: collections.defaultdict(dict))
    for path in (smallest_run_dir / "summaries").rglob("events.*"):
        for event in event_file_loader.EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                tensors = written[path.parent.name][value.tag]
                tensors[event.step] = value.tensor
    return written


def _numbers(tensors):
    return {step: float(tf.make_ndarray(tensor)) for step, tensor in tensors.items()}


def test_norms_of_modules_make_up_the_norm_of_all(written, smallest_run_dir):
    train = written["train"]
    squares = collections.Counter()
    prefix = "copy_digits/gradient_norms/"
    for tag, tensors in train.items():
        if tag.startswith(prefix):
            for step, norm in _numbers(tensors).items():
                squares[step] += norm**2

    assert {f"{prefix}encoder_0", f"{prefix}decoder_0"} <= train.keys()
    # Two steps between two lines of the log: the mean is not that of the last one.
    rows = [r for r in history.read(str(smallest_run_dir)) if r["split"] == "train"]
    for row in rows:
        norm = np.sqrt(squares[row["step"]])
        assert 0.5 < norm / row["gradient_norm"] < 2.0


def test_parameters_change_a_little(written):
    norms = _numbers(written["train"]["parameter_norms/encoder_0"])

    assert norms.keys() == {2, 4}
    assert norms[2] != norms[4]
    assert norms[2] == pytest.approx(norms[4], rel=0.1)


def test_samples_come_with_evaluations(written):
    assert written["dev"]["copy_digits/samples"].keys() == {2, 4}
    assert written["dev"]["copy_digits/attention"].keys() == {2, 4}


def test_settings_lie_beside_the_metrics_of_dev(written):
    assert PLUGIN_OF_HPARAMS in written["dev"]
    assert "copy_digits/loss" in written["dev"]
