"""Audio: residual convolutions over a spectrogram."""

import itertools
import math
from collections.abc import Collection

import tensorflow as tf

from t2t_mm import hparam, modality, registry
from t2t_mm.features import FeatureSpec
from t2t_mm.layers import core, image_conv, randomness


@registry.register_modality("audio_spectral")
class AudioSpectralModality(modality.Modality):
    """ConvRes blocks that shorten time and leave the frequencies (section 2.6.4).

    The paper halves time in every block: eight blocks and a last one to `hidden_size`
    turn 512 frames into one position. `audio_time_stride` says how much to shorten; the
    first blocks halve, the others keep time as it is. `audio_merge_bins` makes all
    frequencies of a frame one position, where the paper keeps one position per bin.
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
        """Creates one block per entry of `audio_filters` and the way to the body."""
        super().__init__(spec, hparams, roles, name=name)
        bins = spec.shape[1]
        if bins is None:
            raise ValueError("A spectrogram needs a fixed number of frequency bins.")
        filters = list(hparams.audio_filters)
        if not hparams.audio_merge_bins:
            filters.append(hparams.hidden_size)
        halvings = int(math.log2(hparams.audio_time_stride))
        with self.name_scope:
            self.blocks = [
                image_conv.ConvRes(
                    before,
                    after,
                    strides=(2 if i < halvings else 1, 1),
                    shortcut_relu=i > 0,
                    name=f"block_{i}",
                )
                for i, (before, after) in enumerate(itertools.pairwise([1, *filters]))
            ]
            self.merge = None
            if hparams.audio_merge_bins:
                size = hparams.hidden_size
                self.merge = core.Dense(bins * filters[-1], size, name="merge")
                self.merge_norm = core.LayerNorm(size, name="merge_norm")

    @classmethod
    def key(cls, spec: FeatureSpec) -> str:
        """Spectrograms with the same bins share the net."""
        return f"audio_spectral_{spec.shape[1]}"

    def bottom(
        self,
        inputs: tf.Tensor,
        lengths: tf.Tensor,
        rng: randomness.RandomStream | None = None,
    ) -> modality.Embedded:
        """Embeds frames `[batch, frames, bins, 1]` float32."""
        x = tf.cast(inputs, tf.as_dtype(self.hparams.activation_dtype))
        # Whole strides only: where TensorFlow pads must not depend on the batch.
        to_multiple = -tf.shape(x)[1] % self.hparams.audio_time_stride
        x = tf.pad(x, [[0, 0], [0, to_multiple], [0, 0], [0, 0]])
        for block in self.blocks:
            x = block(x, tf.sequence_mask(lengths, tf.shape(x)[1]))
            stride = block.strides[0]
            lengths = -(-lengths // stride)
        mask = tf.sequence_mask(lengths, tf.shape(x)[1])
        batch, frames = tf.shape(x)[0], tf.shape(x)[1]
        bins, channels = x.shape[2], x.shape[3]
        if self.merge is not None:
            # [batch, frames, bins, channels] -> [batch, frames, bins * channels]
            merged = tf.nn.relu(tf.reshape(x, [batch, frames, bins * channels]))
            values = self.merge_norm(self.merge(merged))
            return modality.Embedded(core.apply_mask(values, mask), mask)
        # [batch, frames, bins, hidden] -> [batch, frames * bins, hidden]
        values = tf.reshape(x, [batch, frames * bins, channels])
        mask = tf.repeat(mask, bins, axis=1)
        return modality.Embedded(core.apply_mask(values, mask), mask)
