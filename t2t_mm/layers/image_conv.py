"""Convolutions and pools over images and spectrograms, and the blocks made of them.

Padding is TensorFlow's SAME unless `causal`: then zeros go in front of height and width
only, one fewer than the window is long (Tensor2Tensor's LEFT), and output `i` sees
nothing behind input `i * stride`.
"""

import functools
import math
from collections.abc import Sequence

import tensorflow as tf

from t2t_mm.layers import compilation, core, custom_gradient, initializers

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
        return core.matmul_last_axis(stride(x, strides), kernel[0, 0])
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
        return stride(x, strides) * kernel[0, 0, :, 0]
    # On [16, 28, 28, 128] forward and backward take 2.4 ms on two cores, or 31 ms as
    # shifts, but under XLA 117 and 81 ms: benchmarks/convolutions.py.
    if compilation.is_for_xla() and tuple(strides) == (1, 1):
        return depthwise_by_shifts(_fully_padded(x, kernel.shape[:2], causal), kernel)
    x, padding = _padded(x, kernel.shape[:2], causal)
    return tf.nn.depthwise_conv2d(x, kernel, strides=[1, *strides, 1], padding=padding)


def depthwise_by_shifts(padded: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Sums shifted copies, with a gradient written out; sizes must be static.

    Args:
      padded: `[batch, height + kernel_height - 1, width + kernel_width - 1, channels]`.
      kernel: `[kernel_height, kernel_width, channels, 1]`.

    Returns:
      `[batch, height, width, channels]`.
    """
    height, width = kernel.shape[:2]
    taps = [(i, j) for i in range(height) for j in range(width)]

    @custom_gradient.custom_gradient
    def convolve(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, object]:
        rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
        windows = [x[:, i : i + rows, j : j + columns] for i, j in taps]
        weights = [kernel[i, j, :, 0] for i, j in taps]

        def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            wide = tf.pad(dy, [[0, 0], [height - 1] * 2, [width - 1] * 2, [0, 0]])
            # The transpose of a convolution is a convolution with reversed taps.
            shifted = [
                wide[:, i : i + x.shape[1], j : j + x.shape[2]]
                for i, j in reversed(taps)
            ]
            dx = tf.add_n([s * w for s, w in zip(shifted, weights, strict=True)])
            dkernel = [tf.reduce_sum(window * dy, [0, 1, 2]) for window in windows]
            return dx, tf.reshape(tf.stack(dkernel), kernel.shape)

        products = [x * w for x, w in zip(windows, weights, strict=True)]
        return tf.add_n(products), gradient

    return convolve(padded, kernel)


def _fully_padded(x: tf.Tensor, window: Sequence[int], causal: bool) -> tf.Tensor:
    """Pads an image so that a window takes every place, without strides."""
    spans = [size - 1 for size in window]
    fronts = spans if causal else [span // 2 for span in spans]
    paddings = [
        [front, span - front] for front, span in zip(fronts, spans, strict=True)
    ]
    return tf.pad(x, [[0, 0], *paddings, [0, 0]])


def stride(x: tf.Tensor, strides: Sequence[int]) -> tf.Tensor:
    """Returns every n-th row and column of an image, from the first on."""
    if tuple(strides) == (1, 1):
        return x
    if compilation.is_for_xla():
        return x[:, :: strides[0], :: strides[1]]
    # Means of single pixels: with its gradient 3.1 ms for [4, 112, 112, 64] and strides
    # of 2, where slices with steps take 6.3 ms.
    return tf.nn.avg_pool2d(x, 1, list(strides), padding="VALID")


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
        x = core.relu(x, mask) if self._relu else core.apply_mask(x, mask)
        # A kernel without its mean over the outputs gives results whose mean is 0, and
        # there are far fewer weights than pixels.
        if self.kernel is not None:
            kernel = core.centre(self.kernel)
            y = conv_image(x, kernel, self._strides, causal=self._causal)
        else:
            y = depthwise_conv_image(
                x, self.depthwise_kernel, self._strides, causal=self._causal
            )
            y = core.matmul_last_axis(y, core.centre(self.pointwise.kernel))
        return self.layer_norm(y, is_centred=True)


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
