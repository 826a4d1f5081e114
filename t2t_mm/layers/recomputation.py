"""Activations that are not kept for the backward pass but computed again in it."""

import contextvars
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from t2t_mm.layers import compilation, custom_gradient, randomness


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

    def run(tensors: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        stream = start.copy()
        output = context.copy().run(function, *tensors, stream)
        if not outputs:
            outputs.append(output)
            rng.go_on_after(stream)
        return tuple(x for x in tf.nest.flatten(output) if x is not None)

    @custom_gradient.custom_gradient
    def layer(*tensors: tf.Tensor) -> tuple[tuple[tf.Tensor, ...], Any]:
        def gradient(*upstream: tf.Tensor, variables: Sequence[Any] = ()) -> Any:
            again = context.copy().run(_after, upstream, tensors)
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([*again, *variables])
                results = run(again)
            found = tape.gradient(
                results, [*again, *variables], output_gradients=upstream
            )
            of_tensors, of_variables = found[: len(again)], found[len(again) :]
            return (of_tensors, of_variables) if variables else of_tensors

        return run(tensors), gradient

    flat = iter(layer(*inputs))
    return tf.nest.map_structure(
        lambda x: None if x is None else next(flat), outputs[0]
    )


def _after(
    upstream: Sequence[tf.Tensor], tensors: Sequence[tf.Tensor]
) -> list[tf.Tensor]:
    """Returns tensors as they are, but not before the backward pass has come to them.

    Else what is computed from them would be the same as in the forward pass, and either
    taken from there or computed too early.
    """
    if not compilation.is_for_xla():
        with tf.control_dependencies(upstream):
            return [tf.identity(tensor) for tensor in tensors]
    # XLA looks at data alone. Zero, unless the gradient is no number either way.
    first = tf.reshape(upstream[0], [-1])[:1]
    nothing = tf.where(first == first, tf.zeros_like(first), first)
    zero = tf.reduce_sum(nothing)
    return [tensor + tf.cast(zero, tensor.dtype) for tensor in tensors]
