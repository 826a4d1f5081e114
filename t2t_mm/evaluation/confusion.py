"""Which classes a model takes for which."""

from collections.abc import Sequence

import numpy as np

from t2t_mm.evaluation.predictions import Predictions


def confusion_matrix(predictions: Predictions, classes: Sequence[str]) -> np.ndarray:
    """Returns how many examples of each class are taken for each, `[true, predicted]`.

    Args:
      predictions: names of classes; the first reference counts.
      classes: all names, in the order of rows and columns.

    Raises:
      ValueError: for an output or a reference that is no class.
    """
    number = {name: row for row, name in enumerate(classes)}
    counts = np.zeros([len(classes), len(classes)], np.int64)
    for true, predicted in zip(
        predictions.first_references(), predictions.outputs, strict=True
    ):
        for name in (true, predicted):
            if name not in number:
                raise ValueError(f"There is no class '{name}' in {list(classes)}.")
        counts[number[true], number[predicted]] += 1
    return counts
