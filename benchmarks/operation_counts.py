"""Counts what a traced graph computes and moves, with the shapes that it has in a run.

Tables of experts are as large as their busiest expert needs, so shapes are read while
the graph runs.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

# Their results are (part of) an input, or small.
_MOVES_NOTHING = frozenset(
    "Const ExpandDims Identity IdentityN NoOp Placeholder PreventGradient "
    "ReadVariableOp Reshape Shape Snapshot Squeeze StopGradient".split()
)
_FLOAT_TYPES = (tf.float32, tf.bfloat16)


class Counts(NamedTuple):
    """What operations do.

    Attributes:
      products: floating point operations in matrix products and convolutions; a
        multiplication and an addition are two.
      bytes_moved: size of all inputs and outputs of operations, each read or written
        once.
    """

    products: float
    bytes_moved: float


def count(step: Callable[..., Any], *arguments: Any) -> Counts:
    """Runs a step once and counts.

    Args:
      step: computes tensors; traced here, op by op, so XLA may not be inside.
      *arguments: of the step.
    """
    seen: list[tuple[str, dict[str, Any]]] = []

    @tf.function(autograph=False)
    def counted() -> tuple[Any, list[Any]]:
        results = step(*arguments)
        # Of variables that a problem does not use there is no gradient.
        graph = next(x.graph for x in tf.nest.flatten(results) if x is not None)
        with tf.control_dependencies(None):
            shapes = [_shapes(op, seen) for op in graph.get_operations()]
        return results, [shape for shape in shapes if shape is not None]

    _, shapes = counted()
    products = bytes_moved = 0.0
    for (kind, attributes), (inputs, outputs) in zip(seen, shapes, strict=True):
        inputs = [shape.numpy() for shape in inputs]
        outputs = [shape.numpy() for shape in outputs]
        products += _products(kind, attributes, inputs, outputs)
        bytes_moved += sum(4.0 * np.prod(shape) for shape in [*inputs, *outputs])
    return Counts(products, bytes_moved)


def _shapes(
    operation: tf.Operation, seen: list[tuple[str, dict[str, Any]]]
) -> tuple[list[tf.Tensor], list[tf.Tensor]] | None:
    """Returns shapes of the float inputs and outputs; notes what the operation is."""
    if operation.type in _MOVES_NOTHING:
        return None
    inputs = [t for t in operation.inputs if t.dtype in _FLOAT_TYPES]
    outputs = [t for t in operation.outputs if t.dtype in _FLOAT_TYPES]
    if not outputs:
        return None
    flags = ("transpose_a", "adj_x")
    attributes = {
        flag: operation.get_attr(flag)
        for flag in flags
        if flag in operation.node_def.attr
    }
    seen.append((operation.type, attributes))
    return [tf.shape(t) for t in inputs], [tf.shape(t) for t in outputs]


def _products(
    kind: str,
    attributes: dict[str, Any],
    inputs: Sequence[np.ndarray],
    outputs: Sequence[np.ndarray],
) -> float:
    """Returns the floating point operations of one product; 0 for other operations."""
    if kind in ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
        transposed = any(attributes.values())
        return 2.0 * np.prod(outputs[0]) * inputs[0][-2 if transposed else -1]
    if kind == "Conv2D":  # [batch, height, width, out], [height, width, in, out]
        return 2.0 * np.prod(outputs[0]) * np.prod(inputs[1][:3])
    if kind == "DepthwiseConv2dNative":
        return 2.0 * np.prod(outputs[0]) * np.prod(inputs[1][:2])
    if kind == "Conv2DBackpropInput":  # kernel, gradient of the output
        return 2.0 * np.prod(inputs[1]) * np.prod(inputs[0][:3])
    if kind == "Conv2DBackpropFilter":
        return 2.0 * np.prod(inputs[1]) * np.prod(outputs[0][:3])
    if kind == "DepthwiseConv2dNativeBackpropInput":
        return 2.0 * np.prod(inputs[1]) * np.prod(inputs[0][:2])
    if kind == "DepthwiseConv2dNativeBackpropFilter":
        return 2.0 * np.prod(inputs[1]) * np.prod(outputs[0][:2])
    return 0.0
