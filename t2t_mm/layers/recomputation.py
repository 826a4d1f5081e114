"""Activations that are not kept for the backward pass but computed again in it."""

import contextvars
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from t2t_mm.layers import randomness


def recomputed(
    function: Callable[..., Any],
    inputs: Sequence[tf.Tensor],
    rng: randomness.RandomStream,
) -> Any:
    """Calls a layer of which only inputs and outputs are kept (Chen et al. 2016).

    Its gradient computes everything inside once more, with the same random numbers.

    Args:
      function: takes the inputs and a `RandomStream`; it may read variables but not
        assign to them, which would happen twice.
      inputs: float tensors. Whatever else the function uses gets no gradient, apart
        from variables.
      rng: where random numbers come from; goes on as if the layer had used it.

    Returns:
      What the function returns: a nest of float tensors and None.
    """
    start = rng.copy()
    # The backward pass is traced outside of contexts such as `tracing_for_xla`.
    context = contextvars.copy_context()
    outputs: list[Any] = []

    def run(*tensors: tf.Tensor) -> tuple[tf.Tensor, ...]:
        stream = start.copy()
        output = context.copy().run(function, *tensors, stream)
        if not outputs:
            outputs.append(output)
            rng.go_on_after(stream)
        return tuple(x for x in tf.nest.flatten(output) if x is not None)

    flat = iter(tf.recompute_grad(run)(*inputs))
    return tf.nest.map_structure(
        lambda x: None if x is None else next(flat), outputs[0]
    )
