"""Where outputs looked in their inputs: weights of attention, from a forced pass."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from t2t_mm import model as model_lib
from t2t_mm.layers import attention

_OF_SOURCE = ("source_attention", "simple")  # parts of the names of such layers
_DIGITS = 4

Weights = dict[str, list[list[float]]]


class OutputAttention:
    """Computes attention of given outputs to their inputs, in one pass for all ids."""

    def __init__(self, model: model_lib.Model, problem_name: str) -> None:
        """Takes a model with restored variables and one of its problems."""
        self._model = model
        self._name = problem_name
        signature = {
            name: spec
            for name, spec in model.signature(problem_name).items()
            if not name.startswith("targets")
        }
        self._names = signature.keys()
        ids = tf.TensorSpec([None, None], tf.int32)
        lengths = tf.TensorSpec([None], tf.int32)
        self._weights = tf.function(
            self._compute, input_signature=[signature, ids, lengths], autograph=False
        )

    def _compute(
        self, features: Mapping[str, tf.Tensor], ids: tf.Tensor, lengths: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Returns `[batch, length, source_length]` by layer, and lengths of sources."""
        targets = {"targets": ids, "targets_length": lengths}
        with attention.recording() as record:
            self._model({**features, **targets}, problem=self._name)
        mask = self._model.encode(features, problem=self._name).embedded.mask
        weights = {
            # The first part of a name is that of the model.
            name.partition("/")[2]: tf.reduce_mean(value, 1)
            if value.shape.rank == 4
            else value
            for name, value in record.items()
            if any(part in name for part in _OF_SOURCE)
        }
        return weights, tf.reduce_sum(tf.cast(mask, tf.int32), 1)

    def __call__(
        self, features: Mapping[str, tf.Tensor], outputs: Sequence[Sequence[int]]
    ) -> list[Weights]:
        """Returns, for each row, the weights by layer, the mean over heads.

        Args:
          features: a batch of inputs, from `Model.prepare`.
          outputs: ids of an output for each row, with the one that ends it.

        Returns:
          For each layer a list for each id: how much it looked at each position of the
          encoded input. They sum to 1.
        """
        lengths = np.array([len(ids) for ids in outputs], np.int32)
        padded = np.zeros([len(outputs), max(1, lengths.max())], np.int32)
        for row, ids in zip(padded, outputs, strict=True):
            row[: len(ids)] = ids
        weights, sources = self._weights(
            {name: features[name] for name in self._names},
            tf.constant(padded),
            tf.constant(lengths),
        )
        arrays = {name: value.numpy() for name, value in weights.items()}
        return [
            {
                name: np.round(
                    values[row, :length, :source].astype(np.float64), _DIGITS
                ).tolist()
                for name, values in arrays.items()
            }
            for row, (length, source) in enumerate(
                zip(lengths.tolist(), sources.numpy().tolist(), strict=True)
            )
        ]
