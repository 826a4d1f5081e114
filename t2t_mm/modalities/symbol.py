"""Text: ids of a vocabulary, embedded by tables that all text of a run shares."""

import math
from collections.abc import Collection

import tensorflow as tf

from t2t_mm import hparam, modality, registry
from t2t_mm.features import PAD_ID, FeatureSpec
from t2t_mm.layers import casting, core, initializers, randomness


@registry.register_modality("symbol")
class SymbolModality(modality.Modality):
    """Embedding tables for inputs and targets and a softmax (section 2.6.1)."""

    id_axes = {"input": 0, "shared": 0, "softmax": 0, "target": 0}

    def __init__(
        self,
        spec: FeatureSpec,
        hparams: hparam.HParams,
        roles: Collection[str],
        *,
        name: str,
    ) -> None:
        """Creates one `[vocab_size, hidden_size]` table per use, or one for all."""
        super().__init__(spec, hparams, roles, name=name)
        if spec.vocab_size is None:
            raise ValueError("A feature of modality 'symbol' needs a `vocab_size`.")
        shape = [spec.vocab_size, hparams.hidden_size]
        initializer = initializers.normal(hparams.hidden_size**-0.5)
        with self.name_scope:
            self._tables = {
                table: initializers.make_variable(table, shape, initializer)
                for table in self._table_names()
            }

    def _table_names(self) -> list[str]:
        if self.hparams.shared_embedding_and_softmax_weights:
            return ["shared"]
        of_targets = ["target", "softmax"] if modality.TARGETS in self.roles else []
        return of_targets + (["input"] if modality.INPUTS in self.roles else [])

    def _table(self, use: str, dtype: tf.DType) -> tf.Tensor:
        """Returns the table for "input", "target" or "softmax"."""
        shared = self.hparams.shared_embedding_and_softmax_weights
        table = self._tables["shared" if shared else use]
        return casting.cast_weights(table, dtype)

    def _embed(self, use: str, ids: tf.Tensor) -> tf.Tensor:
        dtype = tf.as_dtype(self.hparams.activation_dtype)
        return tf.gather(self._table(use, dtype), ids) * math.sqrt(
            self.hparams.hidden_size
        )

    def bottom(
        self,
        inputs: tf.Tensor,
        lengths: tf.Tensor,
        rng: randomness.RandomStream | None = None,
    ) -> modality.Embedded:
        """Embeds ids `[batch, length]`; positions of padding become zeros."""
        mask = tf.sequence_mask(lengths, tf.shape(inputs)[1])
        values = core.apply_mask(self._embed("input", inputs), mask)
        return modality.Embedded(values, mask)

    def targets_bottom(self, targets: tf.Tensor) -> tf.Tensor:
        """Embeds target ids `[batch, length]`; padding becomes zeros."""
        return core.apply_mask(self._embed("target", targets), targets != PAD_ID)

    def top(self, body_output: modality.Embedded) -> tf.Tensor:
        """Returns logits `[batch, length, vocab_size]`: products with the rows."""
        values = body_output.values
        flat = tf.reshape(values, [-1, values.shape[-1]])
        table = self._table("softmax", flat.dtype)
        # [batch * length, hidden] x [vocab, hidden]^T -> [batch * length, vocab]
        logits = tf.cast(tf.matmul(flat, table, transpose_b=True), tf.float32)
        shape = tf.concat([tf.shape(values)[:-1], [table.shape[0]]], 0)
        return tf.reshape(logits, shape)
