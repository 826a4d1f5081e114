import numpy as np
import pytest

from t2t_mm.evaluation import confusion
from t2t_mm.evaluation.predictions import Predictions


def test_rows_are_true_classes_and_columns_predicted_ones():
    pairs = [("cat", "cat"), ("cat", "dog"), ("cat", "dog"), ("dog", "dog")]

    counts = confusion.confusion_matrix(
        Predictions.of_pairs(pairs), ["dog", "cat", "bird"]
    )

    np.testing.assert_array_equal(counts, [[1, 0, 0], [2, 1, 0], [0, 0, 0]])


def test_an_output_that_is_no_class_is_named():
    with pytest.raises(ValueError, match="no class 'fish' in .*'dog'"):
        confusion.confusion_matrix(Predictions.of_pairs([("dog", "fish")]), ["dog"])
