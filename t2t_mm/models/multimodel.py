"""MultiModel: "One Model To Learn Them All" (Kaiser et al. 2017, arXiv 1706.05137).

    encoder   6 blocks of convolutions, experts in the middle
    mixer     attention from the shifted targets, then 2 blocks of convolutions
    decoder   4 blocks of convolutions and attention, experts in the middle

Targets that are categories are read off the encoder's output; they need no decoder.
Where paper and released code disagree, a hyperparameter decides.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from t2t_mm import model, registry
from t2t_mm.features import NUM_SPACES
from t2t_mm.layers import conv, core, initializers, moe, randomness, timing
from t2t_mm.modality import Embedded
from t2t_mm.models import multimodel_attention as attention
from t2t_mm.models import multimodel_blocks as blocks
from t2t_mm.models.multimodel_hparams import MultiModelHParams

_MERGE_KERNEL_SIZE = 3


@registry.register_model("multimodel")
class MultiModel(model.Model):
    """One body for speech, images, captions, parsing and translation."""

    hparams_cls = MultiModelHParams
    hparams: MultiModelHParams

    def build_body(self) -> None:
        """Creates encoder, mixer, decoder and the command tokens."""
        hparams = self.hparams
        size = hparams.hidden_size
        self.commands = initializers.make_variable(
            "commands", [NUM_SPACES, size], initializers.normal(1.0)
        )
        self.encoder_blocks = [
            blocks.ConvBlock(hparams, causal=False, name=f"encoder_{i}")
            for i in range(hparams.num_encoder_blocks)
        ]
        self.encoder_experts = blocks.ExpertBlock(hparams, name="encoder_experts")
        self.mixer_attention = attention.AttentionBlock(hparams, name="mixer_attention")
        self.mixer_merge = conv.ConvStep(
            2 * size,
            size,
            kernel_size=_MERGE_KERNEL_SIZE,
            causal=True,
            separability=hparams.mixer_merge_separability,
            name="mixer_merge",
        )
        self.mixer_blocks = [
            blocks.ConvBlock(hparams, causal=True, name=f"mixer_{i}")
            for i in range(hparams.num_mixer_blocks)
        ]
        self.decoder_layers = [
            attention.DecoderLayer(hparams, name=f"decoder_{i}")
            for i in range(hparams.num_decoder_blocks)
        ]
        self.decoder_experts = blocks.ExpertBlock(hparams, name="decoder_experts")
        self.encoder_norm = self.decoder_norm = None
        if hparams.norm_position == "pre":
            self.encoder_norm = core.LayerNorm(size, name="encoder_norm")
            self.decoder_norm = core.LayerNorm(size, name="decoder_norm")

    def encode_body(
        self,
        inputs: Embedded,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> model.BodyOutput:
        """Runs the encoder; padding stays zero."""
        x, mask = inputs.values, inputs.mask
        if self.hparams.timing_on_encoder:
            x = timing.add_timing_signal(x, channels=self.hparams.timing_channels)
        middle = self.hparams.encoder_moe_after
        x = core.apply_mask(x, mask)
        x = self._run_stack(self.encoder_blocks[:middle], x, mask, rng)
        experts = self._run_experts(self.encoder_experts, x, mask, space_id, rng)
        x = self._run_stack(self.encoder_blocks[middle:], experts.values, mask, rng)
        if self.encoder_norm is not None:
            x = core.apply_mask(self.encoder_norm(x), mask)
        return model.make_body_output(
            inputs._replace(values=x), {"encoder_experts": experts}
        )

    def _run_stack(
        self,
        stack: Sequence[blocks.ConvBlock],
        x: tf.Tensor,
        mask: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> tf.Tensor:
        for block in stack:
            x = self.run_layer(
                lambda x, rng, block=block: block(x, mask, rng), [x], rng
            )
        return core.apply_mask(self._drop_after_stack(x, rng), mask)

    def _run_experts(
        self,
        experts: blocks.ExpertBlock,
        x: tf.Tensor,
        mask: tf.Tensor,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> moe.MoeOutput:
        return self.run_layer(lambda x, rng: experts(x, mask, space_id, rng), [x], rng)

    def _drop_after_stack(
        self, x: tf.Tensor, rng: randomness.RandomStream | None
    ) -> tf.Tensor:
        is_here = self.hparams.dropout_position == "stack"
        return randomness.dropout(x, self.hparams.dropout if is_here else 0.0, rng)

    def decode_body(
        self,
        targets: Embedded,
        encoded: Embedded,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> model.BodyOutput:
        """Runs mixer and decoder on the shifted targets."""
        source = attention.Source(encoded.values, encoded.mask)
        x = core.shift_right(targets.values, tf.gather(self.commands, space_id))
        x = self._run_mixer(x, source, rng)
        middle = self.hparams.decoder_moe_after
        x = self._run_layers(self.decoder_layers[:middle], x, source, rng)
        experts = self._run_experts(
            self.decoder_experts, x, targets.mask, space_id, rng
        )
        x = self._run_layers(self.decoder_layers[middle:], experts.values, source, rng)
        if self.decoder_norm is not None:
            x = self.decoder_norm(x)
        return model.make_body_output(
            Embedded(core.apply_mask(x, targets.mask), targets.mask),
            {"decoder_experts": experts},
        )

    def _run_mixer(
        self,
        x: tf.Tensor,
        source: attention.Source,
        rng: randomness.RandomStream | None,
    ) -> tf.Tensor:
        attended = self.mixer_attention(x, source, rng)
        x = self.mixer_merge(tf.concat([attended, x], axis=2))
        for block in self.mixer_blocks:
            x = block(x, None, rng)
        return x

    def _run_layers(
        self,
        layers: Sequence[attention.DecoderLayer],
        x: tf.Tensor,
        source: attention.Source,
        rng: randomness.RandomStream | None,
    ) -> tf.Tensor:
        for layer in layers:
            x = self.run_layer(
                lambda x, values, rng, layer=layer: layer(
                    x, source._replace(values=values), rng
                ),
                [x, source.values],
                rng,
            )
        return self._drop_after_stack(x, rng)

    def read_off(
        self,
        encoded: model.BodyOutput,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> model.BodyOutput:
        """Returns the encoder's output, or the decoder's first position."""
        if not self.hparams.categorical_via_decoder:
            return encoded
        source = encoded.embedded
        nothing = tf.zeros_like(source.values[:, :1])
        is_real = tf.reduce_any(source.mask, 1, keepdims=True)
        return self.decode_body(Embedded(nothing, is_real), source, space_id, rng)

    def init_state(
        self, encoded: Embedded, space_id: tf.Tensor, *, max_length: int
    ) -> dict[str, Any]:
        """Returns the caches of all blocks of mixer and decoder."""
        source = attention.Source(encoded.values, encoded.mask)
        batch = tf.shape(encoded.values)[0]
        return {
            "space_id": tf.fill([batch], space_id),
            "mixer_attention": self.mixer_attention.init_cache(source, max_length),
            "mixer_merge": self.mixer_merge.init_cache(batch, self.dtype),
            "mixer_blocks": [
                block.init_cache(batch, self.dtype) for block in self.mixer_blocks
            ],
            "decoder": [
                layer.init_cache(source, max_length) for layer in self.decoder_layers
            ],
        }

    def decode_body_step(
        self,
        target: tf.Tensor,
        state: dict[str, Any],
        position: tf.Tensor,
    ) -> tuple[tf.Tensor, dict[str, Any]]:
        """Computes one position from the caches; `decode_body`, line by line."""
        commands = tf.gather(self.commands, state["space_id"])
        x = tf.where(position == 0, tf.cast(commands, target.dtype), target)
        x, state = self._mixer_step(x, state, position)
        caches = []
        for i, layer in enumerate(self.decoder_layers):
            if i == self.hparams.decoder_moe_after:
                x = self._experts_step(x, state)
            x, cache = layer.step(x, state["decoder"][i], position)
            caches.append(cache)
        if self.hparams.decoder_moe_after == len(self.decoder_layers):
            x = self._experts_step(x, state)
        if self.decoder_norm is not None:
            x = self.decoder_norm(x)
        return x, state | {"decoder": caches}

    def _mixer_step(
        self, x: tf.Tensor, state: dict[str, Any], position: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, Any]]:
        attended, mixer_attention = self.mixer_attention.step(
            x, state["mixer_attention"], position
        )
        x, merge = self.mixer_merge.step(
            tf.concat([attended, x], axis=1), state["mixer_merge"], position
        )
        caches = []
        for block, cache in zip(self.mixer_blocks, state["mixer_blocks"], strict=True):
            x, cache = block.step(x, cache, position)
            caches.append(cache)
        return x, state | {
            "mixer_attention": mixer_attention,
            "mixer_merge": merge,
            "mixer_blocks": caches,
        }

    def _experts_step(self, x: tf.Tensor, state: dict[str, Any]) -> tf.Tensor:
        mask = tf.ones([tf.shape(x)[0], 1], tf.bool)
        space_id = state["space_id"][0]  # one problem, one command
        output: moe.MoeOutput = self.decoder_experts(x[:, None], mask, space_id, None)
        return output.values[:, 0]
