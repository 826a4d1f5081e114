"""Gradients written out by hand, without holding every graph that they were traced in.

TensorFlow keeps the gradient function of each traced call of `tf.custom_gradient` in a
global table for ever, and with it, through the tensors that it closes over, the whole
graph. A process that trains often, a search of hyperparameters or a notebook, would
grow with every run.
"""

import functools
import weakref
from collections.abc import Callable
from typing import Any

import tensorflow as tf

try:  # not part of the public interface
    from tensorflow.python.framework import ops

    _TABLE: dict[str, dict[str, Any]] | None = ops.gradient_registry._registry
except (ImportError, AttributeError):
    _TABLE = None

_HELD = "t2t_mm_gradients"  # the collection of a graph that holds its functions


def custom_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates like `tf.custom_gradient`; the gradient lives as long as its graph.

    Args:
      function: maps tensors to a result and the function of its gradient.

    Returns:
      A function from the same tensors to the result alone.
    """
    with_gradient = tf.custom_gradient(function)

    @functools.wraps(function)
    def call(*tensors: tf.Tensor) -> Any:
        result = with_gradient(*tensors)
        if not tf.executing_eagerly() and _TABLE is not None:
            _hand_over(tf.nest.flatten(result)[0].op, _TABLE)
        return result

    return call


def _hand_over(operation: tf.Operation, table: dict[str, dict[str, Any]]) -> None:
    """Lets the graph of an operation hold its gradient function, not the table."""
    name = operation.get_attr("_gradient_op_type").decode()
    entry = table[name]
    gradient = entry["type"]
    operation.graph.add_to_collection(_HELD, gradient)
    weakly: Callable[[], Any] = weakref.ref(gradient)
    # Looked up where a gradient goes through a whole function, a loop or a branch.
    entry["type"] = lambda *arguments: weakly()(*arguments)
    weakref.finalize(gradient, table.pop, name, None)
