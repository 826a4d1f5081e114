"""Categories: the exit flow of Xception, or the mean of all positions."""

from collections.abc import Collection
from typing import NamedTuple

import tensorflow as tf

from t2t_mm import hparam, modality, registry
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import core, image_conv


class _ExitFlow(NamedTuple):
    """What the exit flows differ in.

    Attributes:
      kernel_size: of every convolution and the pool, along height and width.
      strides: of the pool and the shortcut.
      causal: whether to pad in front only, and to read images as sequences.
      shortcut_separable: whether the shortcut is a separable convolution.
      third_relu: whether the third step, after the sum, starts with a ReLU.
    """

    kernel_size: tuple[int, int]
    strides: tuple[int, int]
    causal: bool
    shortcut_separable: bool
    third_relu: bool


_EXIT_FLOWS = {
    "paper": _ExitFlow((3, 3), (2, 2), False, True, True),
    "release": _ExitFlow((3, 3), (2, 2), False, False, False),
    "release_1d": _ExitFlow((5, 1), (4, 1), True, False, False),
}


@registry.register_modality("class_label")
class ClassLabelModality(modality.Modality):
    """Downsampling, widening, global mean and a softmax over classes (section 2.6.3).

    An image keeps its real height and width here. A sequence is an image of width 1, of
    which a 3x3 kernel uses the middle column. `class_label_net` chooses the form.
    """

    supported_roles = (modality.TARGETS,)
    autoregressive = False
    id_axes = {"classes/kernel": 1, "classes/bias": 0}

    def __init__(
        self,
        spec: FeatureSpec,
        hparams: hparam.HParams,
        roles: Collection[str],
        *,
        name: str,
    ) -> None:
        """Creates the variables of the net and the softmax.

        Raises:
          ValueError: if there is no number of classes.
        """
        super().__init__(spec, hparams, roles, name=name)
        if spec.vocab_size is None:
            raise ValueError(
                "A feature of modality 'class_label' needs a `vocab_size`."
            )
        size = hparams.hidden_size
        self._flow = _EXIT_FLOWS.get(hparams.class_label_net)
        with self.name_scope:
            if self._flow is not None:
                self._build_exit_flow(self._flow)
                size = hparams.class_label_filters[2]
            self.classes = core.Dense(size, spec.vocab_size, name="classes")

    @classmethod
    def key(cls, spec: FeatureSpec) -> str:
        """Labels of one vocabulary share the net; other labels have their own."""
        return f"class_label_{spec.vocabulary}_{spec.vocab_size}"

    def top(self, body_output: modality.Embedded) -> tf.Tensor:
        """Returns logits `[batch, 1, classes]`."""
        if self.hparams.class_label_count_padding:
            everything = tf.ones_like(body_output.mask)
            body_output = body_output._replace(mask=everything)
        if self._flow is None:
            x, rows = body_output.values[:, :, None], body_output.mask
        else:
            x, rows = self._exit_flow(self._flow, *_as_image(self._flow, body_output))
        x = core.apply_mask(x, rows)
        positions = tf.reduce_sum(tf.cast(rows, x.dtype), 1) * x.shape[2]
        mean = tf.reduce_sum(x, [1, 2]) / tf.maximum(positions, 1.0)[:, None]
        return tf.cast(self.classes(mean), tf.float32)[:, None]

    def _build_exit_flow(self, flow: _ExitFlow) -> None:
        size = self.hparams.hidden_size
        wide, wider, widest = self.hparams.class_label_filters
        self.shortcut = image_conv.ImageConvStep(
            size,
            wide,
            kernel_size=flow.kernel_size,
            strides=flow.strides,
            separable=flow.shortcut_separable,
            causal=flow.causal,
            name="shortcut",
        )
        sizes = [(size, size), (size, wide), (wide, wider), (wider, widest)]
        self.steps = [
            image_conv.ImageConvStep(
                before,
                after,
                kernel_size=flow.kernel_size,
                relu=i != 2 or flow.third_relu,
                causal=flow.causal,
                name=f"conv_{i}",
            )
            for i, (before, after) in enumerate(sizes)
        ]

    def _exit_flow(
        self, flow: _ExitFlow, x: tf.Tensor, rows: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps `[batch, height, width, hidden_size]` and its mask `[batch, height]`."""
        y = self.steps[1](self.steps[0](x, rows), rows)
        y = image_conv.max_pool(
            y, flow.kernel_size, flow.strides, rows, causal=flow.causal
        )
        y += self.shortcut(x, rows)
        rows = rows[:, :: flow.strides[0]]
        return tf.nn.relu(self.steps[3](self.steps[2](y, rows), rows)), rows


def _as_image(
    flow: _ExitFlow, embedded: modality.Embedded
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns `[batch, height, width, hidden_size]` and its mask `[batch, height]`."""
    values, mask, grid = embedded
    if grid is None or flow.causal:
        grid = tf.shape(values)[1], 1
    height, width = grid
    # [batch, height * width, hidden] -> [batch, height, width, hidden]
    x = tf.reshape(values, [-1, height, width, values.shape[2]])
    rows = tf.reshape(mask, [-1, height, width])[:, :, 0]
    if isinstance(height, int):
        return x, rows
    # Whole strides only: where TensorFlow pads must not depend on the batch.
    to_multiple = -height % flow.strides[0]
    x = tf.pad(x, [[0, 0], [0, to_multiple], [0, 0], [0, 0]])
    return x, tf.pad(rows, [[0, 0], [0, to_multiple]])
