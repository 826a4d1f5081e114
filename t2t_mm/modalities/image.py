"""Images: the entry flow of Xception."""

import itertools
from collections.abc import Collection

import tensorflow as tf

from t2t_mm import hparam, modality, registry
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import image_conv, randomness


@registry.register_modality("image")
class ImageModality(modality.Modality):
    """Two convolutions and residual blocks that halve the image (section 2.6.2)."""

    supported_roles = (modality.INPUTS,)

    def __init__(
        self,
        spec: FeatureSpec,
        hparams: hparam.HParams,
        roles: Collection[str],
        *,
        name: str,
    ) -> None:
        """Creates the stem and one block per entry of `image_filters`, and one more."""
        super().__init__(spec, hparams, roles, name=name)
        hidden_size = hparams.hidden_size
        stem_0, stem_1 = hparams.image_stem_filters
        filters = [min(f, hidden_size) for f in hparams.image_filters] + [hidden_size]
        stride = hparams.image_stem_stride
        with self.name_scope:
            # Ordinary convolutions and no ReLU on raw pixels, as the first release.
            self.stem_0 = image_conv.ImageConvStep(
                spec.shape[2] or 3,
                stem_0,
                kernel_size=(3, 3),
                strides=(stride, stride),
                separable=False,
                relu=False,
                name="stem_0",
            )
            self.stem_1 = image_conv.ImageConvStep(
                stem_0, stem_1, kernel_size=(3, 3), separable=False, name="stem_1"
            )
            self.blocks = [
                image_conv.ConvRes(
                    before, after, shortcut_relu=i == 0, name=f"block_{i}"
                )
                for i, (before, after) in enumerate(
                    itertools.pairwise([stem_1, *filters])
                )
            ]

    @classmethod
    def key(cls, spec: FeatureSpec) -> str:
        """Images with the same number of channels share the net, whatever their size.

        The pixels of small and large images mean the same.
        """
        return f"image_{spec.shape[2]}"

    def bottom(
        self,
        inputs: tf.Tensor,
        lengths: tf.Tensor,
        rng: randomness.RandomStream | None = None,
    ) -> modality.Embedded:
        """Embeds pixels `[batch, height, width, channels]` uint8."""
        x = tf.image.per_image_standardization(tf.cast(inputs, tf.float32))
        x = tf.cast(x, tf.as_dtype(self.hparams.activation_dtype))
        x = self.stem_1(self.stem_0(x))
        for block in self.blocks:
            x = block(x)
        height, width = x.shape[1], x.shape[2]
        # [batch, height, width, hidden] -> [batch, height * width, hidden]
        values = tf.reshape(x, [tf.shape(x)[0], height * width, x.shape[3]])
        mask = tf.repeat((lengths > 0)[:, None], height * width, axis=1)
        return modality.Embedded(values, mask, (height, width))
