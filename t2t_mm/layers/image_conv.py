"""Convolutions and pools over images and spectrograms, and the blocks made of them.

Padding is TensorFlow's SAME unless `causal`: then zeros go in front of height and width
only, one fewer than the window is long (Tensor2Tensor's LEFT), and output `i` sees
nothing behind input `i * stride`.
"""

import functools
import math
from collections.abc import Sequence

import tensorflow as tf

from t2t_mm.layers import compilation, core, initializers

_NEGATIVE = -1e9  # loses against every activation in a max pool, without infinities


def conv_image(
    x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], *, causal: bool = False
) -> tf.Tensor:
    """Convolves an image.

    Args:
      x: `[batch, height, width, input_size]`.
      kernel: `[kernel_height, kernel_width, input_size, output_size]`.
      strides: along height and width.
      causal: pad in front only.

    Returns:
      `[batch, height / stride, width / stride, output_size]`, rounded up.
    """
    kernel = tf.cast(kernel, x.dtype)
    if kernel.shape[:2] == [1, 1]:
        # A matrix product: TensorFlow 2.21 corrupts memory on CPU in the gradient of a
        # strided 1x1 convolution of one channel.
        return core.matmul_last_axis(_strided(x, strides), kernel[0, 0])
    x, padding = _padded(x, kernel.shape[:2], causal)
    return tf.nn.conv2d(x, kernel, strides=list(strides), padding=padding)


def depthwise_conv_image(
    x: tf.Tensor, kernel: tf.Tensor, strides: Sequence[int], *, causal: bool = False
) -> tf.Tensor:
    """Convolves every channel of an image with its own kernel.

    Args:
      x: `[batch, height, width, channels]`.
      kernel: `[kernel_height, kernel_width, channels, 1]`.
      strides: along height and width.
      causal: pad in front only.

    Returns:
      `[batch, height / stride, width / stride, channels]`, rounded up.
    """
    kernel = tf.cast(kernel, x.dtype)
    if kernel.shape[:2] == [1, 1]:
        return _strided(x, strides) * kernel[0, 0, :, 0]
    x, padding = _padded(x, kernel.shape[:2], causal)
    return tf.nn.depthwise_conv2d(x, kernel, strides=[1, *strides, 1], padding=padding)


def _strided(x: tf.Tensor, strides: Sequence[int]) -> tf.Tensor:
    return x[:, :: strides[0], :: strides[1]]


def _padded(x: tf.Tensor, window: Sequence[int], causal: bool) -> tuple[tf.Tensor, str]:
    """Returns the image and the padding that TensorFlow should add to it."""
    if not causal:
        return x, "SAME"
    height, width = window
    return tf.pad(x, [[0, 0], [height - 1, 0], [width - 1, 0], [0, 0]]), "VALID"


class ImageConvStep(tf.Module):
    """LN(conv(ReLU(x))) over an image or spectrogram."""

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        kernel_size: tuple[int, int],
        strides: tuple[int, int] = (1, 1),
        separable: bool = True,
        relu: bool = True,
        causal: bool = False,
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
          causal: pad in front of height and width only; otherwise SAME.
          name: scope of the variables.
        """
        super().__init__(name=name)
        self._strides = strides
        self._relu = relu
        self._causal = causal
        area = math.prod(kernel_size)
        with self.name_scope:
            if separable:
                self.depthwise_kernel = initializers.make_variable(
                    "depthwise_kernel",
                    [*kernel_size, input_size, 1],
                    initializers.normal(1.0 / math.sqrt(area)),
                )
                self.pointwise = core.Dense(
                    input_size, output_size, use_bias=False, name="pointwise"
                )
                self.kernel = None
            else:
                self.kernel = initializers.make_variable(
                    "kernel",
                    [*kernel_size, input_size, output_size],
                    initializers.glorot_uniform(area * input_size, area * output_size),
                )
            self.layer_norm = core.LayerNorm(output_size)

    def __call__(self, x: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Maps `[batch, height, width, input_size]` to `output_size` channels.

        Args:
          x: the image.
          mask: `[batch, height]` bool, for spectrograms whose height is time.
        """
        x = core.apply_mask(tf.nn.relu(x) if self._relu else x, mask)
        if self.kernel is not None:
            y = conv_image(x, self.kernel, self._strides, causal=self._causal)
        else:
            y = self.pointwise(
                depthwise_conv_image(
                    x, self.depthwise_kernel, self._strides, causal=self._causal
                )
            )
        return self.layer_norm(y)


def max_pool(
    x: tf.Tensor,
    window: Sequence[int],
    strides: Sequence[int],
    mask: tf.Tensor | None = None,
    *,
    causal: bool = False,
) -> tf.Tensor:
    """Pools `[batch, height, width, channels]`; padding of the batch never wins.

    Neither does the border, unless `causal`: Tensor2Tensor puts zeros in front then, so
    that there a negative maximum becomes 0.

    Args:
      x: the image.
      window: height and width of the window.
      strides: along height and width.
      mask: `[batch, height]` bool.
      causal: pad in front only.
    """
    if mask is not None:
        x = tf.where(mask[:, :, None, None], x, tf.cast(_NEGATIVE, x.dtype))
    x, padding = _padded(x, window, causal)
    if compilation.is_for_xla():
        return _max_pool_by_slices(x, window, strides, padding)
    return tf.nn.max_pool2d(x, window, strides, padding=padding)


def _max_pool_by_slices(
    x: tf.Tensor, window: Sequence[int], strides: Sequence[int], padding: str
) -> tf.Tensor:
    """Takes the largest of shifted copies: XLA has no repeatable gradient of a pool."""
    paddings, outputs = [[0, 0]], []
    for size, kernel, stride in zip(x.shape[1:3], window, strides, strict=True):
        same = padding == "SAME"
        output = -(-(size if same else size - kernel + 1) // stride)
        total = max((output - 1) * stride + kernel - size, 0)  # 0 if "VALID"
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

    The paper's equation has the shortcut separable and behind a ReLU. The first release
    has it as an ordinary convolution, which at kernel 1x1 differs by a scale per input
    channel, and without ReLU in some blocks.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        strides: tuple[int, int] = (2, 2),
        shortcut_relu: bool = True,
        shortcut_separable: bool = False,
        name: str,
    ) -> None:
        """Creates the variables.

        Args:
          input_size: channels in.
          output_size: channels out.
          strides: of the pool and the shortcut, along height and width.
          shortcut_relu: whether the shortcut starts with a ReLU.
          shortcut_separable: whether it is separable; otherwise ordinary.
          name: scope of the variables.
        """
        super().__init__(name=name)
        self.strides = strides
        with self.name_scope:
            self.conv_0 = ImageConvStep(
                input_size, output_size, kernel_size=(3, 3), name="conv_0"
            )
            self.conv_1 = ImageConvStep(
                output_size, output_size, kernel_size=(3, 3), name="conv_1"
            )
            self.shortcut = ImageConvStep(
                input_size,
                output_size,
                kernel_size=(1, 1),
                strides=strides,
                separable=shortcut_separable,
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
