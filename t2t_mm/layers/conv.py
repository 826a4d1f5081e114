"""Separable convolutions over sequences, and the ConvStep made of them.

ConvStep(x) = LN(SepConv(ReLU(x))) is the unit of which the paper builds everything that
convolves ("One Model To Learn Them All", section 2.2).
"""

import math

import tensorflow as tf

from t2t_mm.layers import cache as caches
from t2t_mm.layers import (
    casting,
    compilation,
    core,
    custom_gradient,
    initializers,
    randomness,
)


def depthwise_conv_sequence(
    x: tf.Tensor, kernel: tf.Tensor, *, dilation_rate: int, causal: bool
) -> tf.Tensor:
    """Convolves every channel of a sequence with its own kernel.

    Args:
      x: `[batch, length, channels]`.
      kernel: `[kernel_size, channels]`; `kernel_size` is odd.
      dilation_rate: distance between two taps, in positions.
      causal: pad in front only, so that no position sees a later one; otherwise pad
        both sides alike.

    Returns:
      `[batch, length, channels]`.
    """
    kernel = tf.cast(kernel, x.dtype)
    if not compilation.is_for_xla():
        return depthwise_by_folding(
            x, kernel, dilation_rate=dilation_rate, causal=causal
        )
    span = (kernel.shape[0] - 1) * dilation_rate
    front = span if causal else span // 2
    padded = tf.pad(x, [[0, 0], [front, span - front], [0, 0]])
    return depthwise_by_shifts(padded, kernel, dilation_rate)


def depthwise_by_folding(
    x: tf.Tensor, kernel: tf.Tensor, *, dilation_rate: int, causal: bool
) -> tf.Tensor:
    """Folds the dilation into the width of an image and convolves down its height.

    On `[16, 1024, 512]`, two cores and without XLA, forward and backward of 3 taps take
    15 ms; with the padding as an operation of its own it is 32 ms, as shifts 92 ms.
    """
    batch, length, _ = tf.unstack(tf.shape(x))
    channels = x.shape[2]
    if dilation_rate == 1:
        folded = tf.expand_dims(x, 2)
    else:
        padded = tf.pad(x, [[0, 0], [0, -length % dilation_rate], [0, 0]])
        # [batch, length, channels] -> [batch, length / dilation, dilation, channels]
        folded = tf.reshape(padded, [batch, -1, dilation_rate, channels])
    rows = kernel.shape[0] - 1
    front = rows if causal else rows // 2
    is_same = not causal and _likes_same_padding(x.shape[1], rows, dilation_rate)
    convolved = tf.raw_ops.DepthwiseConv2dNative(
        input=folded,
        filter=tf.reshape(kernel, [rows + 1, 1, channels, 1]),
        strides=[1, 1, 1, 1],
        padding="SAME" if is_same else "EXPLICIT",
        explicit_paddings=[] if is_same else [0, 0, front, rows - front, 0, 0, 0, 0],
    )
    if dilation_rate == 1:
        return tf.squeeze(convolved, 2)
    unfolded = tf.reshape(convolved, [batch, -1, channels])
    return tf.slice(unfolded, [0, 0, 0], [-1, length, channels])


def _likes_same_padding(length: int | None, rows: int, dilation_rate: int) -> bool:
    """Returns whether padding by the name of SAME is faster than by its amounts.

    They have different kernels for the gradients. 15 taps forward and backward: where
    the folded length is below the kernel's, at `[16, 32, 512]` and dilation 8, SAME
    takes 4.7 ms and EXPLICIT 1.9 ms; else, at `[16, 1024, 128]` and dilation 4, 4.9 ms
    and 7.9 ms, and without dilation at `[16, 32, 512]` 1.4 ms and 1.7 ms.
    """
    return dilation_rate == 1 or (length or 0) > (rows + 1) * dilation_rate


def depthwise_by_shifts(
    padded: tf.Tensor, kernel: tf.Tensor, dilation_rate: int
) -> tf.Tensor:
    """Sums shifted copies; XLA:CPU fuses this and is far slower on convolution ops."""
    kernel_size = kernel.shape[0]
    span = (kernel_size - 1) * dilation_rate
    for_accelerator = compilation.is_for_accelerator()

    @custom_gradient.custom_gradient
    def convolve(x: tf.Tensor, taps: tf.Tensor) -> tuple[tf.Tensor, object]:
        length = x.shape[1] - span
        starts = [tap * dilation_rate for tap in range(kernel_size)]
        windows = [x[:, s : s + length] for s in starts]
        y = tf.add_n([window * taps[i] for i, window in enumerate(windows)])

        def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            wide = tf.pad(dy, [[0, 0], [span, span], [0, 0]])
            # The transpose of a convolution is a convolution with reversed taps.
            dx = tf.add_n(
                [
                    wide[:, span - s : span - s + x.shape[1]] * taps[i]
                    for i, s in enumerate(starts)
                ]
            )
            if for_accelerator:
                # For 15 taps of [64, 128, 512] in bfloat16, forward and backward, an
                # H100 takes 0.15 ms like this, and 0.45 to 0.78 ms with a sum for each
                # tap. On a CPU it is the other way round.
                return dx, tf.reduce_sum(tf.stack(windows) * dy, [1, 2])
            return dx, tf.stack([tf.reduce_sum(w * dy, [0, 1]) for w in windows])

        return y, gradient

    return convolve(padded, kernel)


class SeparableConv(tf.Module):
    """Depthwise convolution and a product at each position, without a bias.

    With `groups` above 1 the channels fall into as many equal parts, and the product
    mixes within a part only (super-separable: Kaiser et al. 2017, arXiv 1706.03059).
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        kernel_size: int,
        dilation_rate: int = 1,
        causal: bool = False,
        groups: int = 1,
    ) -> None:
        """Creates `kernel_size * in + in * out / groups` parameters.

        Raises:
          ValueError: if `groups` does not divide both sizes.
        """
        super().__init__(name="separable")
        _check_groups(groups, input_size, output_size)
        self._dilation_rate = dilation_rate
        self._causal = causal
        self._groups = groups
        with self.name_scope:
            self.depthwise_kernel = initializers.make_variable(
                "depthwise_kernel",
                [kernel_size, input_size],
                initializers.normal(1.0 / math.sqrt(kernel_size)),
            )
            shape = [groups, input_size // groups, output_size // groups]
            self.pointwise_kernel = initializers.make_variable(
                "pointwise_kernel", shape, initializers.glorot_uniform(*shape[1:])
            )

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Maps `[batch, length, input_size]` to `[batch, length, output_size]`."""
        y = depthwise_conv_sequence(
            x,
            self.depthwise_kernel,
            dilation_rate=self._dilation_rate,
            causal=self._causal,
        )
        return self._mix(y)

    def step(self, cache: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Maps the newest position to `[batch, output_size]`.

        Args:
          cache: `[batch, cache_length, input_size]`, see `ConvStep.step`.
          position: `[]` int32, where the newest position is.
        """
        kernel = casting.cast_weights(self.depthwise_kernel, cache.dtype)
        size = kernel.shape[0]
        if self._dilation_rate == 1 and not caches.has_lineage():
            # Turning the kernel moves less than bringing the past into order.
            order = (tf.constant([*range(-1, size - 1)]) - position) % size
            kernel = tf.gather(kernel, order)
            return self._mix(tf.reduce_sum(cache * kernel, axis=1))
        span = (size - 1) * self._dilation_rate
        distances = range(span, -1, -self._dilation_rate)
        taps = caches.read_ring(cache, position, distances)
        return self._mix(tf.reduce_sum(taps * kernel, axis=1))

    def _mix(self, x: tf.Tensor) -> tf.Tensor:
        kernel = casting.cast_weights(self.pointwise_kernel, x.dtype)
        if self._groups == 1:
            # Not `kernel[0]`: its gradient copies that of the product.
            return core.matmul_last_axis(x, tf.squeeze(kernel, 0))
        parts = tf.split(x, self._groups, axis=-1)
        kernels = tf.unstack(kernel)
        mixed = [
            core.matmul_last_axis(part, own)
            for part, own in zip(parts, kernels, strict=True)
        ]
        return tf.concat(mixed, -1)


class GroupedConv(tf.Module):
    """Ordinary convolutions of equal parts of the channels, then a product of all.

    The merge of Tensor2Tensor's first MultiModel: unlike in `SeparableConv` the parts
    meet, and the product has a bias.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        kernel_size: int,
        groups: int,
    ) -> None:
        """Creates `kernel_size * in * out / groups + out^2 + out` parameters.

        Raises:
          ValueError: if `groups` does not divide both sizes.
        """
        super().__init__(name="grouped")
        _check_groups(groups, input_size, output_size)
        self._kernel_size = kernel_size
        self._groups = groups
        fan_in, fan_out = input_size // groups, output_size // groups
        with self.name_scope:
            self.kernel = initializers.make_variable(
                "kernel",
                [groups, kernel_size, fan_in, fan_out],
                initializers.glorot_uniform(kernel_size * fan_in, fan_out),
            )
            self.mix = core.Dense(output_size, output_size, name="mix")

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Maps `[batch, length, input_size]` causally to `[batch, length, output]`."""
        length = tf.shape(x)[1]
        padded = tf.pad(x, [[0, 0], [self._kernel_size - 1, 0], [0, 0]])
        taps = [padded[:, i : i + length] for i in range(self._kernel_size)]
        return self._from_taps(tf.stack(taps, 2))

    def step(self, cache: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Maps the newest position; see `SeparableConv.step`."""
        distances = range(self._kernel_size - 1, -1, -1)
        return self._from_taps(caches.read_ring(cache, position, distances))

    def _from_taps(self, taps: tf.Tensor) -> tf.Tensor:
        """Maps `[..., kernel_size, input_size]` to `[..., output_size]`."""
        kernel = casting.cast_weights(self.kernel, taps.dtype)
        # [groups, kernel_size, in, out] -> [groups, kernel_size * in, out]
        flat = tf.reshape(kernel, [self._groups, -1, kernel.shape[3]])
        parts = []
        for j, part in enumerate(tf.split(taps, self._groups, axis=-1)):
            # [..., kernel_size, in] -> [..., kernel_size * in]
            shape = tf.concat([tf.shape(part)[:-2], [flat.shape[1]]], 0)
            window = tf.ensure_shape(
                tf.reshape(part, shape), [*part.shape[:-2], flat.shape[1]]
            )
            parts.append(core.matmul_last_axis(window, flat[j]))
        return self.mix(tf.concat(parts, -1))


def _check_groups(groups: int, input_size: int, output_size: int) -> None:
    if input_size % groups or output_size % groups:
        raise ValueError(
            f"{groups} groups must divide the channels, {input_size} in and "
            f"{output_size} out."
        )


class ConvStep(tf.Module):
    """LN(conv(ReLU(x))) over a sequence, with a cached form for decoding.

    Attributes:
      cache_length: how many positions a causal step must see, its own included.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        kernel_size: int,
        dilation_rate: int = 1,
        causal: bool = False,
        separability: int = 0,
        name: str,
    ) -> None:
        """Creates the variables: `k * in + in * out + 2 * out` at separability 0.

        Args:
          input_size: channels in.
          output_size: channels out.
          kernel_size: number of taps, odd.
          dilation_rate: distance between two taps, in positions.
          causal: no position sees a later one.
          separability: 0 for a `SeparableConv`, -g for one in g groups, g for a
            `GroupedConv` in g groups (causal and not dilated), as Tensor2Tensor counts.
          name: scope of the variables.

        Raises:
          ValueError: if `kernel_size` is even, or if the groups do not fit.
        """
        super().__init__(name=name)
        if kernel_size % 2 == 0:
            raise ValueError(f"`kernel_size` must be odd; got {kernel_size}.")
        if separability > 0 and (dilation_rate != 1 or not causal):
            raise ValueError(
                f"A convolution of separability {separability} must be causal and have "
                "no dilation."
            )
        self._input_size = input_size
        self._dilation_rate = dilation_rate
        self.cache_length = (kernel_size - 1) * dilation_rate + 1
        with self.name_scope:
            self.conv: SeparableConv | GroupedConv
            if separability > 0:
                self.conv = GroupedConv(
                    input_size,
                    output_size,
                    kernel_size=kernel_size,
                    groups=separability,
                )
            else:
                self.conv = SeparableConv(
                    input_size,
                    output_size,
                    kernel_size=kernel_size,
                    dilation_rate=dilation_rate,
                    causal=causal,
                    groups=max(-separability, 1),
                )
            self.layer_norm = core.LayerNorm(output_size)

    def __call__(
        self,
        x: tf.Tensor,
        mask: tf.Tensor | None = None,
        rng: randomness.RandomStream | None = None,
    ) -> tf.Tensor:
        """Maps `[batch, length, input_size]` to `[batch, length, output_size]`.

        Args:
          x: the sequence.
          mask: `[batch, length]` bool; padding is zeroed before the convolution, so
            that it does not reach its neighbours.
          rng: not used; here so that steps and blocks of steps can take turns.
        """
        del rng
        return self.layer_norm(self.conv(core.relu(x, mask)))

    def init_cache(self, batch: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
        """Returns the past of an empty sequence `[batch, cache_length, input_size]`."""
        return tf.zeros([batch, self.cache_length, self._input_size], dtype)

    def step(
        self, x: tf.Tensor, cache: tf.Tensor, position: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes one new position of a causal step.

        Args:
          x: `[batch, input_size]`, the new position.
          cache: a ring `[batch, cache_length, input_size]` of the positions before it.
          position: `[]` int32, where the new position is.

        Returns:
          `[batch, output_size]` and the new cache.
        """
        # Written before it is read, so that the old cache is not needed any more: XLA
        # would copy each of them twice in every step.
        cache = caches.write_ring(cache, tf.nn.relu(x), position)
        return self.layer_norm(self.conv.step(cache, position)), cache
