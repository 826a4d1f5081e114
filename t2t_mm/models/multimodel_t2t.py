"""MultiModel as Tensor2Tensor redesigned it in July 2017, its `multimodel_base`.

    encoder   4 layers of convolutions and, beside them, experts
    decoder   4 layers of self-attention, attention to the encoder and a dense net or,
              in one of them, experts

The paper describes another model, which is `multimodel`. Targets that are categories
are read off the encoder's output; they need no decoder.
"""

from typing import Any

import tensorflow as tf

from t2t_mm import model, registry
from t2t_mm.features import NUM_SPACES
from t2t_mm.layers import core, initializers, moe, randomness, timing
from t2t_mm.modality import Embedded
from t2t_mm.models import multimodel_t2t_blocks as blocks
from t2t_mm.models.multimodel_t2t_hparams import MultiModelT2THParams

_ENCODER_TIMING_CHANNELS = 32


@registry.register_model("multimodel_t2t")
class MultiModelT2T(model.Model):
    """Convolutions beside experts, and a Transformer's decoder (v1.0.11 to v1.2.7)."""

    hparams_cls = MultiModelT2THParams
    hparams: MultiModelT2THParams

    def build_body(self) -> None:
        """Creates encoder, decoder and the command tokens."""
        hparams = self.hparams
        self.commands = initializers.make_variable(
            "commands", [NUM_SPACES, hparams.hidden_size], initializers.normal(1.0)
        )
        self.encoder_layers = [
            blocks.EncoderLayer(hparams, name=f"encoder_{i}")
            for i in range(hparams.num_hidden_layers)
        ]
        self.decoder_layers = [
            blocks.DecoderLayer(
                hparams, has_experts=i in hparams.moe_layers, name=f"decoder_{i}"
            )
            for i in range(hparams.num_hidden_layers)
        ]

    def decoder_input(self, targets: Embedded, space_id: tf.Tensor) -> tf.Tensor:
        """Returns the targets after the command, plus timing signal."""
        command = tf.gather(self.commands, space_id)
        return timing.add_timing_signal(core.shift_right(targets.values, command))

    def encode_body(
        self,
        inputs: Embedded,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> model.BodyOutput:
        """Runs the encoder; padding becomes zero."""
        x = timing.add_timing_signal(inputs.values, channels=_ENCODER_TIMING_CHANNELS)
        outputs = {}
        for layer in self.encoder_layers:
            output = self.run_layer(
                lambda x, rng, layer=layer: layer(x, inputs.mask, space_id, rng),
                [x],
                rng,
            )
            x, outputs[f"{layer.name}_experts"] = output.values, output
        return _body_output(inputs._replace(values=x), outputs)

    def decode_body(
        self,
        targets: Embedded,
        encoded: Embedded,
        space_id: tf.Tensor,
        rng: randomness.RandomStream | None,
    ) -> model.BodyOutput:
        """Runs the decoder on the shifted targets."""
        x = self.decoder_input(targets, space_id)
        x = randomness.dropout(x, self.hparams.dropout, rng)
        outputs = {}
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
        return _body_output(targets._replace(values=x), outputs)

    def init_state(
        self, encoded: Embedded, space_id: tf.Tensor, *, max_length: int
    ) -> dict[str, Any]:
        """Returns the caches of all layers of the decoder."""
        return {
            "space_id": tf.fill([tf.shape(encoded.values)[0]], space_id),
            "layers": [
                layer.attention.init_cache(encoded, max_length)
                for layer in self.decoder_layers
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
        signal = timing.timing_signal(position[None], target.shape[1])
        x = x + tf.cast(signal, target.dtype)
        space_id = state["space_id"][0]  # one problem, one command
        caches = []
        for layer, cache in zip(self.decoder_layers, state["layers"], strict=True):
            x, cache = layer.step(x, cache, space_id, position)
            caches.append(cache)
        return x, state | {"layers": caches}


def _body_output(
    embedded: Embedded, layers: dict[str, moe.MoeOutput]
) -> model.BodyOutput:
    values = core.apply_mask(embedded.values, embedded.mask)
    return model.make_body_output(embedded._replace(values=values), layers)
