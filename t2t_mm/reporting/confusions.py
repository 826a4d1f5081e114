"""A picture of which classes a model takes for which."""

from collections.abc import Sequence

import numpy as np

from t2t_mm import problem as problem_lib
from t2t_mm.data import class_targets
from t2t_mm.evaluation import confusion
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.reporting import curves

_MOST_NAMED = 40  # classes whose names can be read
_MOST_NUMBERED = 15  # classes whose numbers of examples fit into the picture
_INCHES_PER_CLASS = 0.32
_LEAST_INCHES, _MOST_INCHES = 4.0, 16.0
_DARK = 0.5  # share from which numbers are white


def draw_of_problem(
    problem: problem_lib.Problem, predictions: Predictions, vocab_dir: str, path: str
) -> bool:
    """Draws the confusions of a problem; returns False if there are none to draw.

    Args:
      problem: whose targets may be classes.
      predictions: outputs and references.
      vocab_dir: folder of the names of classes.
      path: of the PNG file.
    """
    if not isinstance(problem, class_targets.ClassTargets) or not predictions.outputs:
        return False
    classes = problem.class_labels(vocab_dir)
    draw(confusion.confusion_matrix(predictions, classes), classes, path)
    return True


def draw(counts: np.ndarray, classes: Sequence[str], path: str) -> None:
    """Writes a confusion matrix as PNG: a row per true class, in shares of the row.

    Args:
      counts: `[true, predicted]`, numbers of examples.
      classes: names of rows and columns.
      path: of the PNG file.
    """
    size = np.clip(_INCHES_PER_CLASS * len(classes), _LEAST_INCHES, _MOST_INCHES)
    figure = curves.new_figure(size + 2.0, size + 1.2)  # with room for the names
    axes = figure.add_subplot()
    totals = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    picture = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    figure.colorbar(picture, ax=axes, label="share of the true class", shrink=0.8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(classes) <= _MOST_NAMED:
        axes.set_xticks(range(len(classes)), classes, rotation=90)
        axes.set_yticks(range(len(classes)), classes)
    if len(classes) <= _MOST_NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                color = "white" if shares[row, column] > _DARK else "black"
                axes.text(
                    column, row, str(count), ha="center", va="center", color=color
                )
    curves.save(figure, path)
