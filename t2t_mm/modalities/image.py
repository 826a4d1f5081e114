"""Images: the entry flow of Xception, one convolution, or patches."""

import itertools
from collections.abc import Collection

import tensorflow as tf

from t2t_mm import hparam, modality, registry
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import core, image_augmentation, image_conv, randomness, timing


@registry.register_modality("image")
class ImageModality(modality.Modality):
    """Standardised pixels through the net that `image_net` names.

    "xception": two convolutions and residual blocks that halve the image (section
    2.6.2). "small": one convolution to `hidden_size`. "patch": a linear map of patches,
    normalised, plus the timing signal of their rows and columns.
    """

    supported_roles = (modality.INPUTS,)

    def __init__(
        self,
        spec: FeatureSpec,
        hparams: hparam.HParams,
        roles: Collection[str],
        *,
        name: str,
    ) -> None:
        """Creates the variables of the net."""
        super().__init__(spec, hparams, roles, name=name)
        build = {
            "xception": self._build_entry_flow,
            "small": self._build_small,
            "patch": self._build_patch,
        }[hparams.image_net]
        with self.name_scope:
            build(spec.shape[2] or 3)

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
        if rng is not None:
            x = self._augment(x, rng)
        x = tf.cast(x, tf.as_dtype(self.hparams.activation_dtype))
        embed = {
            "xception": self._entry_flow,
            "small": self._small,
            "patch": self._patch,
        }[self.hparams.image_net]
        x = embed(x)
        height, width = x.shape[1], x.shape[2]
        # [batch, height, width, hidden] -> [batch, height * width, hidden]
        values = tf.reshape(x, [tf.shape(x)[0], height * width, x.shape[3]])
        mask = tf.repeat((lengths > 0)[:, None], height * width, axis=1)
        return modality.Embedded(values, mask, (height, width))

    def _augment(self, x: tf.Tensor, rng: randomness.RandomStream) -> tf.Tensor:
        """Turns and moves standardised pixels as the hparams `augment_image_*` say."""
        if self.hparams.augment_image_flip:
            x = image_augmentation.flip(x, rng)
        if self.hparams.augment_image_shift:
            x = image_augmentation.shift(x, self.hparams.augment_image_shift, rng)
        return x

    def _build_entry_flow(self, channels: int) -> None:
        """Creates the stem and one block per entry of `image_filters`, and one more."""
        hparams = self.hparams
        size, stride = hparams.hidden_size, hparams.image_stem_stride
        stem_0, stem_1 = hparams.image_stem_filters
        filters = [min(f, size) for f in hparams.image_filters] + [size]
        self.stem_0 = image_conv.ImageConvStep(
            channels,
            stem_0,
            kernel_size=(3, 3),
            strides=(stride, stride),
            separable=hparams.image_stem_separable,
            relu=hparams.image_stem_relu,
            name="stem_0",
        )
        self.stem_1 = image_conv.ImageConvStep(
            stem_0,
            stem_1,
            kernel_size=(3, 3),
            separable=hparams.image_stem_separable,
            name="stem_1",
        )
        self.blocks = [
            image_conv.ConvRes(
                before,
                after,
                shortcut_relu=hparams.image_stem_relu or i == 0,
                shortcut_separable=hparams.image_stem_separable,
                name=f"block_{i}",
            )
            for i, (before, after) in enumerate(itertools.pairwise([stem_1, *filters]))
        ]

    def _entry_flow(self, x: tf.Tensor) -> tf.Tensor:
        x = self.stem_1(self.stem_0(x))
        for block in self.blocks:
            x = block(x)
        return x

    def _build_small(self, channels: int) -> None:
        stride = self.hparams.image_stem_stride
        self.stem = image_conv.ImageConvStep(
            channels,
            self.hparams.hidden_size,
            kernel_size=(3, 3),
            strides=(stride, stride),
            separable=False,
            relu=False,
            name="stem",
        )

    def _small(self, x: tf.Tensor) -> tf.Tensor:
        return self.stem(x)

    def _build_patch(self, channels: int) -> None:
        size = self.hparams.hidden_size
        values = self.hparams.image_patch_size**2 * channels
        self.patch = core.Dense(values, size, name="patch")
        self.patch_norm = core.LayerNorm(size, name="patch_norm")

    def _patch(self, x: tf.Tensor) -> tf.Tensor:
        """Cuts the image into patches; zeros, the mean colour, fill the last ones."""
        side = self.hparams.image_patch_size
        height, width = (-(-size // side) for size in x.shape[1:3])
        to_height, to_width = height * side - x.shape[1], width * side - x.shape[2]
        x = tf.pad(x, [[0, 0], [0, to_height], [0, to_width], [0, 0]])
        # [batch, height * side, width * side, channels]
        # -> [batch, height, width, side * side * channels]
        x = tf.reshape(x, [-1, height, side, width, side, x.shape[3]])
        x = tf.transpose(x, [0, 1, 3, 2, 4, 5])
        x = tf.reshape(x, [-1, height, width, side * side * x.shape[5]])
        embedded = self.patch_norm(self.patch(x))
        signal = timing.timing_signal_2d(height, width, embedded.shape[3])
        return embedded + tf.cast(signal, embedded.dtype)
