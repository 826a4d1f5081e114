"""Audio: residual convolutions over a spectrogram or a waveform."""

import abc
import itertools
import math
from collections.abc import Collection
from typing import ClassVar

import tensorflow as tf

from t2t_mm import hparam, modality, registry
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import core, image_conv, randomness, spectrogram_augmentation


class ConvResAudioModality(modality.Modality):
    """ConvRes blocks that shorten time (section 2.6.4).

    The paper halves time in every block: eight blocks and a last one to `hidden_size`
    turn 512 frames into one position. `audio_time_stride` says how much to shorten; the
    first blocks halve, the others keep time as it is. `audio_merge_bins` makes all
    values of one time one position, where the paper keeps one position per value.

    Attributes:
      width_stride: stride, across the axis that is not time, of the blocks that halve.
    """

    supported_roles = (modality.INPUTS,)
    width_stride: ClassVar[int]

    def __init__(
        self,
        spec: FeatureSpec,
        hparams: hparam.HParams,
        roles: Collection[str],
        *,
        name: str,
    ) -> None:
        """Creates one block per entry of `audio_filters` and the way to the body.

        Raises:
          ValueError: if the width is not fixed.
        """
        super().__init__(spec, hparams, roles, name=name)
        if spec.shape[1] is None:
            raise ValueError(
                f"A feature of modality '{spec.modality}' needs a fixed number of "
                f"frequency bins or bytes; got the shape {spec.shape}."
            )
        with self.name_scope:
            self.blocks = self._build_blocks()
            self.merge = None
            if hparams.audio_merge_bins:
                size, width = hparams.hidden_size, spec.shape[1]
                for block in self.blocks:
                    width = -(-width // block.strides[1])
                inputs = width * hparams.audio_filters[-1]
                self.merge = core.Dense(inputs, size, name="merge")
                self.merge_norm = core.LayerNorm(size, name="merge_norm")

    def _build_blocks(self) -> list[image_conv.ConvRes]:
        hparams = self.hparams
        filters = [self.spec.shape[2] or 1, *hparams.audio_filters]
        if not hparams.audio_merge_bins:
            filters.append(hparams.hidden_size)
        halvings = int(math.log2(hparams.audio_time_stride))
        return [
            image_conv.ConvRes(
                before,
                after,
                strides=(2, self.width_stride) if i < halvings else (1, 1),
                shortcut_relu=hparams.audio_shortcut_relu
                or i < len(hparams.audio_filters),
                shortcut_separable=hparams.audio_shortcut_separable,
                name=f"block_{i}",
            )
            for i, (before, after) in enumerate(itertools.pairwise(filters))
        ]

    @classmethod
    def key(cls, spec: FeatureSpec) -> str:
        """Sounds with the same number of bins or bytes, and channels, share the net."""
        channels = "" if spec.shape[2] == 1 else f"x{spec.shape[2]}"
        return f"{spec.modality}_{spec.shape[1]}{channels}"

    @abc.abstractmethod
    def scale(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the inputs as the first block reads them, in float32."""

    def augment(
        self, x: tf.Tensor, lengths: tf.Tensor, rng: randomness.RandomStream
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Changes scaled inputs and their lengths at random; here, leaves them.

        Called in training only.
        """
        del rng
        return x, lengths

    def bottom(
        self,
        inputs: tf.Tensor,
        lengths: tf.Tensor,
        rng: randomness.RandomStream | None = None,
    ) -> modality.Embedded:
        """Embeds `[batch, time, width, channels]` frames or samples."""
        x = self.scale(inputs)
        if rng is not None:
            x, lengths = self.augment(x, lengths, rng)
        x = tf.cast(x, tf.as_dtype(self.hparams.activation_dtype))
        if self.hparams.audio_pad_to_stride:
            # Where TensorFlow pads must not depend on the batch.
            to_multiple = -tf.shape(x)[1] % self.hparams.audio_time_stride
            x = tf.pad(x, [[0, 0], [0, to_multiple], [0, 0], [0, 0]])
        for block in self.blocks:
            x = block(x, tf.sequence_mask(lengths, tf.shape(x)[1]))
            stride = block.strides[0]
            lengths = -(-lengths // stride)
        return self._as_sequence(x, tf.sequence_mask(lengths, tf.shape(x)[1]))

    def _as_sequence(self, x: tf.Tensor, mask: tf.Tensor) -> modality.Embedded:
        batch, time = tf.shape(x)[0], tf.shape(x)[1]
        width, channels = x.shape[2], x.shape[3]
        if self.merge is not None:
            # [batch, time, width, channels] -> [batch, time, width * channels]
            merged = tf.nn.relu(tf.reshape(x, [batch, time, width * channels]))
            values = self.merge_norm(self.merge(merged))
            return modality.Embedded(core.apply_mask(values, mask), mask)
        # [batch, time, width, hidden] -> [batch, time * width, hidden]
        values = tf.reshape(x, [batch, time * width, channels])
        mask = tf.repeat(mask, width, axis=1)
        return modality.Embedded(core.apply_mask(values, mask), mask, (time, width))


@registry.register_modality("audio_spectral")
class AudioSpectralModality(ConvResAudioModality):
    """A spectrogram, `[frames, bins, channels]` float32; its frequencies stay apart."""

    width_stride = 1

    def scale(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the frames as they are."""
        return tf.cast(inputs, tf.float32)

    def augment(
        self, x: tf.Tensor, lengths: tf.Tensor, rng: randomness.RandomStream
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Warps and masks frames as the hparams `augment_audio_*` say."""
        hparams = self.hparams
        if hparams.augment_audio_time_warp:
            most = hparams.augment_audio_time_warp
            x, lengths = spectrogram_augmentation.warp_time(x, lengths, most, rng)
        if hparams.augment_audio_frequency_warp:
            most = hparams.augment_audio_frequency_warp
            x = spectrogram_augmentation.warp_frequency(x, most, rng)
        if hparams.augment_audio_time_masks:
            count = hparams.augment_audio_time_masks
            share = hparams.augment_audio_time_mask_share
            x = spectrogram_augmentation.mask_time(x, lengths, count, share, rng)
        if hparams.augment_audio_frequency_masks:
            count = hparams.augment_audio_frequency_masks
            bins = hparams.augment_audio_frequency_mask_bins
            x = spectrogram_augmentation.mask_frequency(x, count, bins, rng)
        return x, lengths


@registry.register_modality("audio")
class AudioModality(ConvResAudioModality):
    """A waveform, `[samples, width, 1]` of values from 0 to 255.

    `width` is the number of bytes that make a sample. Blocks that halve time halve them
    as well.
    """

    width_stride = 2

    def scale(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns values from 0 to 1."""
        return tf.cast(inputs, tf.float32) / 255.0
