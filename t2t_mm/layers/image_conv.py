"""Convolutions and pools over images and spectrograms, and the blocks made of them."""

import functools
from collections.abc import Sequence

import tensorflow as tf

from t2t_mm.layers import compilation, core, initializers

_NEGATIVE = -1e9  # loses against every activation in a max pool, without infinities


class ImageConvStep(tf.Module):
    """LN(conv(ReLU(x))) over an image or spectrogram."""

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        kernel_size: int,
        strides: tuple[int, int] = (1, 1),
        separable: bool = True,
        relu: bool = True,
        name: str,
    ) -> None:
        """Creates the variables.

        Args:
          input_size: channels in.
          output_size: channels out.
          kernel_size: height and width of the kernel.
          strides: along height and width.
          separable: depthwise and pointwise; otherwise one ordinary convolution.
          relu: whether to start with a ReLU; raw pixels are better off without.
          name: scope of the variables.
        """
        super().__init__(name=name)
        self._strides = strides
        self._relu = relu
        size = [kernel_size, kernel_size]
        with self.name_scope:
            if separable:
                self.depthwise_kernel = initializers.make_variable(
                    "depthwise_kernel",
                    [*size, input_size, 1],
                    initializers.normal(1.0 / kernel_size),
                )
                self.pointwise = core.Dense(
                    input_size, output_size, use_bias=False, name="pointwise"
                )
                self.kernel = None
            else:
                area = kernel_size**2
                self.kernel = initializers.make_variable(
                    "kernel",
                    [*size, input_size, output_size],
                    initializers.glorot_uniform(area * input_size, area * output_size),
                )
            self.layer_norm = core.LayerNorm(output_size)

    def __call__(self, x: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Maps `[batch, height, width, input_size]`, padded as TensorFlow's SAME.

        Args:
          x: the image.
          mask: `[batch, height]` bool, for spectrograms whose height is time.
        """
        x = core.apply_mask(tf.nn.relu(x) if self._relu else x, mask)
        if self.kernel is None:
            return self.layer_norm(self.pointwise(self._depthwise(x)))
        kernel = tf.cast(self.kernel, x.dtype)
        if kernel.shape[0] == 1:
            # A matrix product: TensorFlow 2.21 corrupts memory on CPU in the gradient
            # of a strided 1x1 convolution of one channel.
            strided = x[:, :: self._strides[0], :: self._strides[1]]
            return self.layer_norm(core.matmul_last_axis(strided, kernel[0, 0]))
        y = tf.nn.conv2d(x, kernel, strides=self._strides, padding="SAME")
        return self.layer_norm(y)

    def _depthwise(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.depthwise_conv2d(
            x,
            tf.cast(self.depthwise_kernel, x.dtype),
            strides=[1, *self._strides, 1],
            padding="SAME",
        )


def max_pool(
    x: tf.Tensor,
    window: Sequence[int],
    strides: Sequence[int],
    mask: tf.Tensor | None = None,
) -> tf.Tensor:
    """Pools `[batch, height, width, channels]`; neither border nor padding ever wins.

    Args:
      x: the image.
      window: height and width of the window.
      strides: along height and width.
      mask: `[batch, height]` bool.
    """
    if mask is not None:
        x = tf.where(mask[:, :, None, None], x, tf.cast(_NEGATIVE, x.dtype))
    if compilation.is_for_xla():
        return _max_pool_by_slices(x, window, strides)
    return tf.nn.max_pool2d(x, window, strides, padding="SAME")


def _max_pool_by_slices(
    x: tf.Tensor, window: Sequence[int], strides: Sequence[int]
) -> tf.Tensor:
    """Takes the largest of shifted copies: XLA has no repeatable gradient of a pool."""
    paddings, outputs = [[0, 0]], []
    for size, kernel, stride in zip(x.shape[1:3], window, strides, strict=True):
        output = -(-size // stride)
        total = max((output - 1) * stride + kernel - size, 0)  # as TensorFlow's SAME
        paddings.append([total // 2, total - total // 2])
        outputs.append(output)
    padded = tf.pad(x, [*paddings, [0, 0]], constant_values=_NEGATIVE)
    spans = [(n - 1) * stride + 1 for n, stride in zip(outputs, strides, strict=True)]
    slices = [
        padded[:, i : i + spans[0] : strides[0], j : j + spans[1] : strides[1]]
        for i in range(window[0])
        for j in range(window[1])
    ]
    return functools.reduce(tf.maximum, slices)


class ConvRes(tf.Module):
    """Two ConvSteps and a max pool beside a strided 1x1 shortcut (section 2.6.2).

    The shortcut is an ordinary convolution, as in the first release; the paper's
    equation prints a separable one, which at kernel 1x1 differs by a scale per channel.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        strides: tuple[int, int] = (2, 2),
        shortcut_relu: bool = True,
        name: str,
    ) -> None:
        """Creates the variables; `strides` are those of the pool and the shortcut."""
        super().__init__(name=name)
        self.strides = strides
        with self.name_scope:
            self.conv_0 = ImageConvStep(
                input_size, output_size, kernel_size=3, name="conv_0"
            )
            self.conv_1 = ImageConvStep(
                output_size, output_size, kernel_size=3, name="conv_1"
            )
            self.shortcut = ImageConvStep(
                input_size,
                output_size,
                kernel_size=1,
                strides=strides,
                separable=False,
                relu=shortcut_relu,
                name="shortcut",
            )

    def __call__(self, x: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Maps `[batch, height, width, input_size]` to a smaller image.

        Args:
          x: the image.
          mask: `[batch, height]` bool, for spectrograms whose height is time.
        """
        y = self.conv_1(self.conv_0(x, mask), mask)
        return max_pool(y, (3, 3), self.strides, mask) + self.shortcut(x, mask)
