"""The Transformer: "Attention Is All You Need" (Vaswani et al. 2017, arXiv 1706.03762).

    encoder   6 layers of self-attention and a feed-forward net
    decoder   6 layers of self-attention, attention to the encoder and such a net

It takes MultiModel's modalities and its command token, which is added to every position
of the encoder's input, as Tensor2Tensor did. Targets that are categories are read off
the encoder's output; they need no decoder.
"""

from typing import Any

import tensorflow as tf

from t2t_mm import model, registry
from t2t_mm.features import NUM_SPACES
from t2t_mm.layers import core, initializers, moe, randomness, timing
from t2t_mm.modality import Embedded
from t2t_mm.models import transformer_blocks as blocks
from t2t_mm.models.transformer_hparams import TransformerHParams


@registry.register_model("transformer")
class Transformer(model.Model):
    """Attention in place of MultiModel's convolutions; experts where they are asked."""

    hparams_cls = TransformerHParams
    hparams: TransformerHParams

    def build_body(self) -> None:
        """Creates encoder, decoder and the command tokens."""
        hparams = self.hparams
        size = hparams.hidden_size
        self.commands = initializers.make_variable(
            "commands",
            [NUM_SPACES, size],
            initializers.glorot_uniform(NUM_SPACES, size),
        )
        has_experts = [
            i in hparams.moe_layers for i in range(hparams.num_hidden_layers)
        ]
        self.encoder_layers = [
            blocks.EncoderLayer(hparams, has_experts=has, name=f"encoder_{i}")
            for i, has in enumerate(has_experts)
        ]
        self.decoder_layers = [
            blocks.DecoderLayer(hparams, has_experts=has, name=f"decoder_{i}")
            for i, has in enumerate(has_experts)
        ]
        if hparams.norm_position == "pre":
            self.encoder_norm, self.decoder_norm = (
                core.LayerNorm(size, name=f"{part}_norm")
                for part in ("encoder", "decoder")
            )
        else:  # the last sub-layer ends with a norm
            self.encoder_norm = self.decoder_norm = tf.identity

    def encoder_input(
        self,
        inputs: Embedded,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None = None,
    ) -> tf.Tensor:
        """Returns inputs, command and timing signal summed, the first layer's input."""
        command = tf.gather(self.commands, space_id)
        x = inputs.values + tf.cast(command, inputs.values.dtype)
        x = timing.add_timing_signal(x)
        return randomness.dropout(x, self.hparams.dropout, rng)

    def decoder_input(
        self, targets: Embedded, rng: randomness.RandomStream | None = None
    ) -> tf.Tensor:
        """Returns the targets after a zero vector, plus timing signal."""
        first = tf.zeros([self.hparams.hidden_size])
        x = timing.add_timing_signal(core.shift_right(targets.values, first))
        return randomness.dropout(x, self.hparams.dropout, rng)

    def encode_body(
        self,
        inputs: Embedded,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> model.BodyOutput:
        """Runs the encoder; padding becomes zero."""
        x, outputs = self.encoder_input(inputs, space_id, rng), {}
        for layer in self.encoder_layers:
            output = self.run_layer(
                lambda x, rng, layer=layer: layer(x, inputs.mask, space_id, rng),
                [x],
                rng,
            )
            x, outputs[f"{layer.name}_experts"] = output.values, output
        return _body_output(inputs._replace(values=self.encoder_norm(x)), outputs)

    def decode_body(
        self,
        targets: Embedded,
        encoded: Embedded,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> model.BodyOutput:
        """Runs the decoder on the shifted targets."""
        x, outputs = self.decoder_input(targets, rng), {}
        for layer in self.decoder_layers:
            output = self.run_layer(
                lambda x, source, rng, layer=layer: layer(
                    targets._replace(values=x),
                    encoded._replace(values=source),
                    space_id,
                    rng,
                ),
                [x, encoded.values],
                rng,
            )
            x, outputs[f"{layer.name}_experts"] = output.values, output
        return _body_output(targets._replace(values=self.decoder_norm(x)), outputs)

    def init_state(
        self, encoded: Embedded, space_id: tf.Tensor, *, max_length: int
    ) -> dict[str, Any]:
        """Returns the caches of all layers of the decoder."""
        return {
            "space_id": tf.fill([tf.shape(encoded.values)[0]], space_id),
            "layers": [
                layer.init_cache(encoded, max_length) for layer in self.decoder_layers
            ],
        }

    def decode_body_step(
        self,
        target: tf.Tensor,
        state: dict[str, Any],
        position: tf.Tensor,
    ) -> tuple[tf.Tensor, dict[str, Any]]:
        """Computes one position from the caches; `decode_body`, line by line."""
        x = tf.where(position == 0, tf.zeros_like(target), target)
        signal = timing.timing_signal(position[None], target.shape[1])
        x = x + tf.cast(signal, target.dtype)
        space_id = state["space_id"][0]  # one problem, one command
        caches = []
        for layer, cache in zip(self.decoder_layers, state["layers"], strict=True):
            x, cache = layer.step(x, cache, space_id, position)
            caches.append(cache)
        return self.decoder_norm(x), state | {"layers": caches}


def _body_output(
    embedded: Embedded, layers: dict[str, moe.MoeOutput]
) -> model.BodyOutput:
    values = core.apply_mask(embedded.values, embedded.mask)
    return model.make_body_output(embedded._replace(values=values), layers)
