"""Pictures of where a model looks when it predicts."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from matplotlib import axis as axis_lib
from matplotlib import figure as figure_lib
from matplotlib.backends import backend_agg

from t2t_mm import model as model_lib
from t2t_mm.layers import attention

MOST_LAYERS = 12  # of a picture
_MOST_LABELS = 40  # along an axis; more cannot be read
_COLUMNS = 3
_INCHES = 3.2  # width and height of a layer
_DOTS_PER_INCH = 80


class AttentionMaps:
    """Computes attention weights of batches; each graph is compiled once."""

    def __init__(self, model: model_lib.Model) -> None:
        """Prepares to look into `model`."""
        self._model = model
        self._programs: dict[object, tf.types.experimental.GenericFunction] = {}

    def of_first_row(
        self, features: Mapping[str, tf.Tensor], problem: str
    ) -> dict[str, np.ndarray]:
        """Returns the weights of the first example of a batch, by name of the layer.

        Args:
          features: a batch, from a data pipeline.
          problem: name of the problem.

        Returns:
          `[length, memory_length]` each, means over the heads.
        """
        key = self._model.graph_key(problem)
        if key not in self._programs:
            self._programs[key] = self._make_program(problem)
        maps = self._programs[key](self._model.prepare(features, problem))
        prefix = f"{self._model.name}/"
        return {name.removeprefix(prefix): x.numpy() for name, x in maps.items()}

    def _make_program(self, problem: str) -> tf.types.experimental.GenericFunction:
        def first_row(weights: tf.Tensor) -> tf.Tensor:
            row = tf.cast(weights[0], tf.float32)
            # [heads, length, memory_length] -> [length, memory_length]
            return tf.reduce_mean(row, 0) if row.shape.rank == 3 else row

        def maps(features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            with attention.recording() as record:
                self._model(features, problem=problem)
            return {name: first_row(x) for name, x in record.items()}

        signature = [self._model.signature(problem)]
        return tf.function(maps, input_signature=signature, autograph=False)


def draw(
    maps: Mapping[str, np.ndarray], targets: Sequence[str], inputs: Sequence[str]
) -> np.ndarray:
    """Draws a panel per layer, at most `MOST_LAYERS`: a row for each position.

    Args:
      maps: `[length, memory_length]` by name of the layer, at least one.
      targets: tokens of the targets; padding is not shown.
      inputs: likewise; empty if the inputs are no text.

    Returns:
      A picture, `[height, width, 3]` uint8.
    """
    shown = list(maps.items())[:MOST_LAYERS]
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = figure_lib.Figure(
        figsize=(_INCHES * columns, _INCHES * rows), layout="constrained"
    )
    canvas = backend_agg.FigureCanvasAgg(figure)
    figure.set_dpi(_DOTS_PER_INCH)
    panels = iter(figure.subplots(rows, columns, squeeze=False).flat)
    for (name, weights), axes in zip(shown, panels, strict=False):
        queries, memory = _tokens(name, targets, inputs)
        part = weights[: len(queries) or None, : len(memory) or None]
        axes.imshow(part, cmap="magma", vmin=0.0, aspect="auto")
        axes.set_title(name, fontsize=8)
        _label(axes.yaxis, queries, rotation=0)
        _label(axes.xaxis, memory, rotation=90)
    for axes in panels:  # that are left
        axes.set_axis_off()
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _tokens(
    name: str, targets: Sequence[str], inputs: Sequence[str]
) -> tuple[Sequence[str], Sequence[str]]:
    """Returns what a layer looks from and what it looks at.

    A target is predicted where the one before it is read.
    """
    if name.startswith("encoder"):
        return inputs, inputs
    return targets, ["", *targets[:-1]] if "self" in name else inputs


def _label(axis: axis_lib.Axis, tokens: Sequence[str], *, rotation: int) -> None:
    if 0 < len(tokens) <= _MOST_LABELS:
        axis.set_ticks(range(len(tokens)), tokens, rotation=rotation, fontsize=6)
    else:
        axis.set_tick_params(labelsize=6)
