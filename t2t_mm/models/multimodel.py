"""MultiModel: "One Model To Learn Them All" (Kaiser et al. 2017, arXiv 1706.05137).

    encoder   6 blocks of convolutions, experts in the middle
    mixer     attention from the shifted targets, then 2 blocks of convolutions
    decoder   4 blocks of convolutions and attention, experts in the middle

Targets that are categories are read off the encoder's output; they need no decoder.
"""

from typing import Any

import tensorflow as tf

from t2t_mm import model, registry
from t2t_mm.features import NUM_SPACES
from t2t_mm.layers import attention, conv, core, initializers, randomness, timing
from t2t_mm.modality import Embedded
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
        self.mixer_attention = blocks.AttentionBlock(hparams, name="mixer_attention")
        self.mixer_merge = conv.ConvStep(
            2 * size,
            size,
            kernel_size=_MERGE_KERNEL_SIZE,
            causal=True,
            name="mixer_merge",
        )
        self.mixer_blocks = [
            blocks.ConvBlock(hparams, causal=True, name=f"mixer_{i}")
            for i in range(hparams.num_mixer_blocks)
        ]
        self.decoder_blocks = [
            blocks.ConvBlock(hparams, causal=True, name=f"decoder_{i}")
            for i in range(hparams.num_decoder_blocks)
        ]
        self.decoder_attention = [
            blocks.AttentionBlock(hparams, name=f"decoder_attention_{i}")
            for i in range(hparams.num_decoder_blocks)
        ]
        self.decoder_experts = blocks.ExpertBlock(hparams, name="decoder_experts")

    def encode_body(
        self,
        inputs: Embedded,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> model.BodyOutput:
        """Runs the encoder; padding stays zero."""
        mask = inputs.mask
        x = core.apply_mask(timing.add_timing_signal(inputs.values), mask)
        middle = self.hparams.encoder_moe_after
        for block in self.encoder_blocks[:middle]:
            x = block(x, mask, rng)
        experts = self.encoder_experts(x, mask, space_id, rng)
        x = experts.values
        for block in self.encoder_blocks[middle:]:
            x = block(x, mask, rng)
        return self._output("encoder", inputs._replace(values=x), experts)

    def _output(self, part: str, embedded: Embedded, experts: Any) -> model.BodyOutput:
        values = core.apply_mask(embedded.values, embedded.mask)
        return model.make_body_output(
            embedded._replace(values=values), {f"{part}_experts": experts}
        )

    def decode_body(
        self,
        targets: Embedded,
        encoded: Embedded,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> model.BodyOutput:
        """Runs mixer and decoder on the shifted targets."""
        source = self._source(encoded)
        x = core.shift_right(targets.values, tf.gather(self.commands, space_id))
        attended = self.mixer_attention(x, source, rng)
        x = self.mixer_merge(tf.concat([attended, x], axis=2))
        for block in self.mixer_blocks:
            x = block(x, None, rng)
        middle = self.hparams.decoder_moe_after
        layers = list(zip(self.decoder_blocks, self.decoder_attention, strict=True))
        for block, attend in layers[:middle]:
            x = block(x, None, rng)
            x = x + attend(x, source, rng)
        experts = self.decoder_experts(x, targets.mask, space_id, rng)
        x = experts.values
        for block, attend in layers[middle:]:
            x = block(x, None, rng)
            x = x + attend(x, source, rng)
        return self._output("decoder", Embedded(x, targets.mask), experts)

    def _source(self, encoded: Embedded) -> blocks.Source:
        return blocks.Source(encoded.values, attention.padding_bias(encoded.mask))

    def init_state(
        self, encoded: Embedded, space_id: tf.Tensor, *, max_length: int
    ) -> dict[str, Any]:
        """Returns the caches of all blocks of mixer and decoder."""
        source = self._source(encoded)
        batch = tf.shape(encoded.values)[0]
        return {
            "space_id": tf.fill([batch], space_id),
            "mixer_attention": self.mixer_attention.init_cache(source, max_length),
            "mixer_merge": self.mixer_merge.init_cache(batch, self.dtype),
            "mixer_blocks": [
                b.init_cache(batch, self.dtype) for b in self.mixer_blocks
            ],
            "decoder_blocks": [
                b.init_cache(batch, self.dtype) for b in self.decoder_blocks
            ],
            "decoder_attention": [
                a.init_cache(source, max_length) for a in self.decoder_attention
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
        attended, mixer_attention = self.mixer_attention.step(
            x, state["mixer_attention"], position
        )
        x, merge = self.mixer_merge.step(
            tf.concat([attended, x], axis=1), state["mixer_merge"]
        )
        mixer_caches = []
        for block, cache in zip(self.mixer_blocks, state["mixer_blocks"], strict=True):
            x, cache = block.step(x, cache)
            mixer_caches.append(cache)
        block_caches, attention_caches = [], []
        for i, block in enumerate(self.decoder_blocks):
            if i == self.hparams.decoder_moe_after:
                x = self._experts_step(x, state)
            x, cache = block.step(x, state["decoder_blocks"][i])
            block_caches.append(cache)
            attended, attention_cache = self.decoder_attention[i].step(
                x, state["decoder_attention"][i], position
            )
            x = x + attended
            attention_caches.append(attention_cache)
        if self.hparams.decoder_moe_after == len(self.decoder_blocks):
            x = self._experts_step(x, state)
        return x, {
            "space_id": state["space_id"],
            "mixer_attention": mixer_attention,
            "mixer_merge": merge,
            "mixer_blocks": mixer_caches,
            "decoder_blocks": block_caches,
            "decoder_attention": attention_caches,
        }

    def _experts_step(self, x: tf.Tensor, state: dict[str, Any]) -> tf.Tensor:
        mask = tf.ones([tf.shape(x)[0], 1], tf.bool)
        space_id = state["space_id"][0]  # one problem, one command
        return self.decoder_experts(x[:, None], mask, space_id, None).values[:, 0]
