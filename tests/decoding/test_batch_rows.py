import numpy as np
import pytest
import tensorflow as tf

from t2t_mm.decoding import batch_rows


@pytest.mark.parametrize(
    ("rows", "sources"),
    [([4], [4]), ([1, 3, 5], [1, 3, 5, 1]), (range(5), [0, 1, 2, 3, 4, 0])],
)
def test_rows_are_taken_in_few_sizes_and_no_more_than_there_are(rows, sources):
    features = {"inputs": tf.range(6)[:, None], "inputs_length": tf.ones(6)}

    taken = batch_rows.take(features, np.array(rows))

    assert taken.sources.tolist() == sources
    assert taken.features["inputs"][:, 0].numpy().tolist() == sources
    assert taken.features["inputs_length"].shape == len(sources)
    assert taken.is_filler.tolist() == [n >= len(rows) for n in range(len(sources))]
