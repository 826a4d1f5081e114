"""Categories: the exit flow of Xception."""

from collections.abc import Collection

import tensorflow as tf

from t2t_mm import hparam, modality, registry
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import core, image_conv


@registry.register_modality("class_label")
class ClassLabelModality(modality.Modality):
    """Downsampling, widening, global mean and a softmax over classes (section 2.6.3).

    An image keeps its real height and width here. A sequence is an image of width 1.
    """

    supported_roles = (modality.TARGETS,)
    autoregressive = False

    def __init__(
        self,
        spec: FeatureSpec,
        hparams: hparam.HParams,
        roles: Collection[str],
        *,
        name: str,
    ) -> None:
        """Creates the variables of five steps and the softmax."""
        super().__init__(spec, hparams, roles, name=name)
        if spec.vocab_size is None:
            raise ValueError(
                "A feature of modality 'class_label' needs a `vocab_size`."
            )
        hidden_size = hparams.hidden_size
        wide, wider = hparams.class_label_filters
        with self.name_scope:
            self.shortcut = image_conv.ImageConvStep(
                hidden_size,
                hidden_size,
                kernel_size=(3, 3),
                strides=(2, 2),
                name="shortcut",
            )
            self.steps = [
                image_conv.ImageConvStep(
                    before, after, kernel_size=(3, 3), name=f"conv_{i}"
                )
                for i, (before, after) in enumerate(
                    [
                        (hidden_size, hidden_size),
                        (hidden_size, hidden_size),
                        (hidden_size, wide),
                        (wide, wider),
                    ]
                )
            ]
            self.classes = core.Dense(wider, spec.vocab_size, name="classes")

    @classmethod
    def key(cls, spec: FeatureSpec) -> str:
        """Labels of one vocabulary share the net; other labels have their own."""
        return f"class_label_{spec.vocabulary}_{spec.vocab_size}"

    def top(self, body_output: modality.Embedded) -> tf.Tensor:
        """Returns logits `[batch, 1, classes]`."""
        values, mask, grid = body_output
        if grid is None:
            # Whole strides only: where TensorFlow pads must not depend on the batch.
            to_even = tf.shape(values)[1] % 2
            values = tf.pad(values, [[0, 0], [0, to_even], [0, 0]])
            mask = tf.pad(mask, [[0, 0], [0, to_even]])
        height, width = grid or (tf.shape(values)[1], 1)
        hidden_size = values.shape[2]
        # [batch, height * width, hidden] -> [batch, height, width, hidden]
        x = tf.reshape(values, [-1, height, width, hidden_size])
        rows = tf.reshape(mask, [-1, height, width])[:, :, 0]
        y = self.steps[1](self.steps[0](x, rows), rows)
        y = image_conv.max_pool(y, (3, 3), (2, 2), rows) + self.shortcut(x, rows)
        rows = rows[:, ::2]
        y = tf.nn.relu(self.steps[3](self.steps[2](y, rows), rows))
        y = core.apply_mask(y, rows)
        positions = tf.reduce_sum(tf.cast(rows, y.dtype), 1) * y.shape[2]
        mean = tf.reduce_sum(y, [1, 2]) / tf.maximum(positions, 1.0)[:, None]
        return tf.cast(self.classes(mean), tf.float32)[:, None]
