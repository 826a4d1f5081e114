"""The paper's formulas in NumPy, in float64 and with plain loops.

Functions that end in `_of` take the variables of a layer and none of its code.
"""

import math

import numpy as np


def relu(x):
    return np.maximum(x, 0.0)


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def log_softmax(x):
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def array(variable):
    return np.asarray(variable, np.float64)


def layer_norm(x, scale=1.0, bias=0.0):
    mean = x.mean(-1, keepdims=True)
    deviation = np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return (x - mean) / deviation * scale + bias


def layer_norm_of(layer, x):
    return layer_norm(x, array(layer.scale), array(layer.bias))


def timing_signal(length, depth):
    """sin(t / 10000^(j / (n - 1))) for the n = depth // 2 timescales, then cos."""
    signal = np.zeros((length, depth))
    pairs = depth // 2
    for t in range(length):
        for j in range(pairs):
            timescale = 10000.0 ** (j / max(pairs - 1, 1))
            signal[t, j] = math.sin(t / timescale)
            signal[t, pairs + j] = math.cos(t / timescale)
    return signal


def depthwise_sequence(x, kernel, dilation_rate=1, causal=False):
    """Convolves `[batch, length, channels]` with `[kernel_size, channels]`."""
    kernel_size = len(kernel)
    span = (kernel_size - 1) * dilation_rate
    shift = span if causal else span // 2
    y = np.zeros(x.shape)
    for t in range(x.shape[1]):
        for tap in range(kernel_size):
            position = t + tap * dilation_rate - shift
            if 0 <= position < x.shape[1]:
                y[:, t] += x[:, position] * kernel[tap]
    return y


def conv_step_of(step, x, *, dilation_rate=1, causal=False, mask=None):
    """LN(SepConv(ReLU(x))) of a sequence."""
    x = relu(x)
    if mask is not None:
        x = x * mask[..., None]
    kernel = array(step.conv.depthwise_kernel)
    mixed = depthwise_sequence(x, kernel, dilation_rate, causal)
    return layer_norm_of(step.layer_norm, mixed @ array(step.conv.pointwise_kernel)[0])


def _padding(size, window, stride, causal):
    """Zeros before the first and after the last: all in front, or TensorFlow's SAME."""
    if causal:
        return window - 1, 0
    total = max((math.ceil(size / stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _windows(x, window, strides, fill, causal):
    """Yields row and column of the output and `[batch, height, width, channels]`."""
    rows = _padding(x.shape[1], window[0], strides[0], causal)
    columns = _padding(x.shape[2], window[1], strides[1], causal)
    padded = np.pad(x, [(0, 0), rows, columns, (0, 0)], constant_values=fill)
    for i in range(math.ceil(x.shape[1] / strides[0])):
        for j in range(math.ceil(x.shape[2] / strides[1])):
            top, left = i * strides[0], j * strides[1]
            yield i, j, padded[:, top : top + window[0], left : left + window[1]]


def _pooled_shape(x, strides):
    return [
        len(x),
        math.ceil(x.shape[1] / strides[0]),
        math.ceil(x.shape[2] / strides[1]),
    ]


def conv_image(x, kernel, strides=(1, 1), causal=False):
    """Convolves `[batch, height, width, in]` with `[height, width, in, out]`."""
    y = np.zeros([*_pooled_shape(x, strides), kernel.shape[3]])
    for i, j, window in _windows(x, kernel.shape[:2], strides, 0.0, causal):
        y[:, i, j] = np.einsum("bhwi,hwio->bo", window, kernel)
    return y


def depthwise_image(x, kernel, strides=(1, 1), causal=False):
    """Convolves every channel with its kernel of `[height, width, channels]`."""
    y = np.zeros([*_pooled_shape(x, strides), x.shape[3]])
    for i, j, window in _windows(x, kernel.shape[:2], strides, 0.0, causal):
        y[:, i, j] = np.einsum("bhwc,hwc->bc", window, kernel)
    return y


def max_pool(x, window, strides, causal=False):
    """The largest of every window; the border counts as 0 if causal, else as -inf."""
    y = np.zeros([*_pooled_shape(x, strides), x.shape[3]])
    for i, j, values in _windows(x, window, strides, 0 if causal else -np.inf, causal):
        y[:, i, j] = values.max((1, 2))
    return y


def image_conv_step_of(
    step, x, *, strides=(1, 1), use_relu=True, causal=False, mask=None
):
    """LN(conv(ReLU(x))) of an image; `mask` `[batch, height]`."""
    x = relu(x) if use_relu else x
    if mask is not None:
        x = x * mask[:, :, None, None]
    if step.kernel is not None:
        y = conv_image(x, array(step.kernel), strides, causal)
    else:
        kernel = array(step.depthwise_kernel)[..., 0]
        y = depthwise_image(x, kernel, strides, causal) @ array(step.pointwise.kernel)
    return layer_norm_of(step.layer_norm, y)


def conv_res_of(block, x, *, strides, shortcut_relu, mask=None):
    """MaxPool(ConvStep(ConvStep(x))) + ConvStep_1x1(x), both strided."""
    y = image_conv_step_of(block.conv_0, x, mask=mask)
    y = image_conv_step_of(block.conv_1, y, mask=mask)
    if mask is not None:
        y = np.where(mask[:, :, None, None], y, -1e9)
    return max_pool(y, (3, 3), strides) + image_conv_step_of(
        block.shortcut, x, strides=strides, use_relu=shortcut_relu, mask=mask
    )


def standardise(pixels):
    """Mean 0 and deviation 1 per image, which is at least 1 / sqrt(values)."""
    x = pixels.astype(np.float64)
    mean, deviation = x.mean((1, 2, 3)), x.std((1, 2, 3))
    least = 1.0 / np.sqrt(np.prod(x.shape[1:]))
    divisor = np.maximum(deviation, least)
    return (x - mean[:, None, None, None]) / divisor[:, None, None, None]


def entry_flow_of(net, pixels, *, stride=2, literal=False):
    """The paper's equations if `literal`; else with the first release's fewer ReLUs."""
    x = standardise(pixels)
    x = image_conv_step_of(net.stem_0, x, strides=(stride, stride), use_relu=literal)
    x = image_conv_step_of(net.stem_1, x)
    for i, block in enumerate(net.blocks):
        x = conv_res_of(block, x, strides=(2, 2), shortcut_relu=literal or i == 0)
    return x


def exit_flow_of(net, x):
    """The paper's equations for `[batch, height, width, hidden_size]`."""
    skip = image_conv_step_of(net.shortcut, x, strides=(2, 2))
    h = image_conv_step_of(net.steps[1], image_conv_step_of(net.steps[0], x))
    h = skip + max_pool(h, (3, 3), (2, 2))
    h = image_conv_step_of(net.steps[3], image_conv_step_of(net.steps[2], h))
    mean = relu(h).mean((1, 2))
    return mean @ array(net.classes.kernel) + array(net.classes.bias)


def audio_blocks_of(net, x, *, strides, literal=False):
    """One ConvRes block per pair of `strides`; the last shortcut has no ReLU."""
    for block, stride, last in zip(
        net.blocks, strides, [*[False] * (len(strides) - 1), True], strict=True
    ):
        relu_first = literal or not last
        x = conv_res_of(block, x, strides=stride, shortcut_relu=relu_first)
    return x


def dense_of(layer, x):
    y = x @ array(layer.kernel)
    return y if layer.bias is None else y + array(layer.bias)


def attention_of(layer, x, memory, num_heads, visible=None):
    """softmax(q k^T / sqrt(depth)) v per head; `visible` `[batch, length, memory]`."""
    queries, keys, values = (
        dense_of(projection, y)
        for y, projection in (
            (x, layer.query),
            (memory, layer.key),
            (memory, layer.value),
        )
    )
    depth = x.shape[2] // num_heads
    joined = np.zeros(x.shape)
    for head in range(num_heads):
        columns = slice(head * depth, (head + 1) * depth)
        scores = np.einsum("btd,bsd->bts", queries[..., columns], keys[..., columns])
        scores /= math.sqrt(depth)
        if visible is not None:
            scores = np.where(visible, scores, -np.inf)
        joined[..., columns] = softmax(scores) @ values[..., columns]
    return dense_of(layer.output, joined)


def swiglu(x):
    gate, values = np.split(x, 2, -1)
    return gate / (1 + np.exp(-gate)) * values


def experts_of(layer, x, mask, k, activation=relu):
    """The gate-weighted sum of each position's `k` best experts, without noise."""
    y = np.zeros(x.shape)
    for b, t in np.argwhere(mask):
        logits = x[b, t] @ array(layer.gate.kernel)
        chosen = np.argsort(-logits)[:k]
        for gate, expert in zip(softmax(logits[chosen]), chosen, strict=True):
            hidden = activation(x[b, t] @ array(layer.kernel_0)[expert])
            y[b, t] += gate * (hidden @ array(layer.kernel_1)[expert])
    return y
