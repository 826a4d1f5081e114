"""Adam, with one clock per variable."""

import re
from collections.abc import Sequence

import tensorflow as tf

from t2t_mm import hparam


class Adam(tf.Module):
    """Adam (Kingma and Ba 2015) with decoupled weight decay on matrices.

    A step trains one problem, so the nets of other modalities get no gradient then:
    they are left alone, moments included, and each variable counts its own updates for
    the bias correction.
    """

    def __init__(
        self, variables: Sequence[tf.Variable], hparams: hparam.HParams
    ) -> None:
        """Creates the slots; their keys are the names of the variables."""
        super().__init__(name="adam")
        self._hparams = hparams
        self.first_moments = {_key(v): _slot(v, "first_moment") for v in variables}
        self.second_moments = {_key(v): _slot(v, "second_moment") for v in variables}
        self.updates = {
            _key(v): tf.Variable(0, dtype=tf.int64, trainable=False, name="updates")
            for v in variables
        }

    def apply(
        self,
        gradients: Sequence[tf.Tensor | None],
        variables: Sequence[tf.Variable],
        learning_rate: tf.Tensor,
    ) -> None:
        """Updates the variables that have a gradient.

        Args:
          gradients: one for each variable, or None.
          variables: some of those that the optimizer was made for.
          learning_rate: `[]` float32.
        """
        for gradient, variable in zip(gradients, variables, strict=True):
            if gradient is not None:
                self._update(variable, tf.convert_to_tensor(gradient), learning_rate)

    def _update(
        self, variable: tf.Variable, gradient: tf.Tensor, learning_rate: tf.Tensor
    ) -> None:
        key, hparams = _key(variable), self._hparams
        count = tf.cast(self.updates[key].assign_add(1), tf.float32)
        beta1, beta2 = hparams.optimizer_adam_beta1, hparams.optimizer_adam_beta2
        if hparams.weight_decay and variable.shape.rank >= 2:
            variable.assign_sub(learning_rate * hparams.weight_decay * variable)
        # One fused kernel: reads and writes each number once.
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self.first_moments[key].handle,
            v=self.second_moments[key].handle,
            beta1_power=tf.pow(beta1, count),
            beta2_power=tf.pow(beta2, count),
            lr=learning_rate,
            beta1=beta1,
            beta2=beta2,
            epsilon=hparams.optimizer_adam_epsilon,
            grad=gradient,
        )


def _key(variable: tf.Variable) -> str:
    return re.sub(r"[^A-Za-z0-9_]", ".", variable.name.removesuffix(":0"))


def _slot(variable: tf.Variable, name: str) -> tf.Variable:
    return tf.Variable(tf.zeros(variable.shape), trainable=False, name=name)


def clip_by_global_norm(
    gradients: Sequence[tf.Tensor | None], largest: float
) -> tuple[list[tf.Tensor | None], tf.Tensor]:
    """Scales gradients so that their global norm is at most `largest`.

    Args:
      gradients: of any shapes; None is passed on.
      largest: 0 for no clipping.

    Returns:
      The gradients and their global norm before clipping, `[]` float32.
    """
    # Rows that a sparse gradient repeats must be summed before they are squared.
    gradients = [None if g is None else tf.convert_to_tensor(g) for g in gradients]
    present = [g for g in gradients if g is not None]
    norm = tf.linalg.global_norm(present)
    if largest == 0.0:
        return gradients, norm
    clipped = iter(tf.clip_by_global_norm(present, largest, use_norm=norm)[0])
    return [None if g is None else next(clipped) for g in gradients], norm
