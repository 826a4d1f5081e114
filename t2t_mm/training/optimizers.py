"""Optimizers: Adam, dense or by rows, Adafactor and momentum.

A step trains some of the problems, so the nets of other modalities get no gradient
then: they are left alone, moments included, and each variable counts its own updates.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from t2t_mm import hparam
from t2t_mm.layers import initializers
from t2t_mm.training import gradients as gradients_lib
from t2t_mm.training.gradients import Gradient

_ADAFACTOR_EPSILON = 1e-30  # added to squares: a gradient of 0 divides by nothing
_LEAST_SCALE = 1e-3  # of a variable: one that starts at 0 must get away from it


class Optimizer(tf.Module, abc.ABC):
    """What optimizers share: clocks, decoupled weight decay, factors of the rate.

    Attributes:
      updates: number of updates of every variable, by its key.
    """

    def __init__(
        self,
        variables: Sequence[tf.Variable],
        hparams: hparam.HParams,
        rate_factors: Mapping[str, float] | None = None,
    ) -> None:
        """Creates the slots; their keys are the names of the variables.

        Args:
          variables: what can be updated.
          hparams: name the optimizer's constants.
          rate_factors: of the learning rate, by name of the variable; 1 if left out.
        """
        super().__init__(name=hparams.optimizer)
        self._hparams = hparams
        factors = rate_factors or {}
        self._rate_factors = {
            initializers.key(v): factors.get(v.name, 1.0) for v in variables
        }
        self.updates = {
            initializers.key(v): tf.Variable(
                0, dtype=tf.int64, trainable=False, name="updates"
            )
            for v in variables
        }
        self._make_slots(variables)

    @abc.abstractmethod
    def _make_slots(self, variables: Sequence[tf.Variable]) -> None:
        """Creates what the optimizer keeps about variables, in dicts by their keys."""

    @abc.abstractmethod
    def _update(
        self,
        variable: tf.Variable,
        gradient: Gradient,
        learning_rate: tf.Tensor,
        clock: Any,
    ) -> None:
        """Updates a variable and its slots.

        Args:
          variable: what to update.
          gradient: of it.
          learning_rate: `[]` float32.
          clock: what `_clocks` says of the variable.
        """

    def _clocks(self, counts: tf.Tensor) -> Sequence[Any]:
        """Returns for each variable what depends on how often it was updated.

        All at once, as each operation costs time when a run starts.

        Args:
          counts: `[variables]` float32, numbers of updates with this one.
        """
        return tf.unstack(counts)

    def slots(self, variable: tf.Variable) -> dict[str, tf.Variable]:
        """Returns what is kept about a variable, such as "updates" and "moments/rows".

        Nothing is kept about a variable that the optimizer was not made for.
        """
        key = initializers.key(variable)
        slots: dict[str, tf.Variable] = {}
        for name, table in vars(self).items():
            if name.startswith("_") or not isinstance(table, Mapping):
                continue
            kept = table.get(key, {})
            if isinstance(kept, Mapping):
                slots |= {f"{name}/{part}": slot for part, slot in kept.items()}
            else:
                slots[name] = kept
        return slots

    def apply(
        self,
        gradients: Sequence[Gradient | tf.Tensor | tf.IndexedSlices | None],
        variables: Sequence[tf.Variable],
        learning_rate: tf.Tensor,
    ) -> None:
        """Updates the variables that have a gradient.

        Args:
          gradients: one for each variable, or None.
          variables: some of those that the optimizer was made for.
          learning_rate: `[]` float32.
        """
        updated = [
            (gradient, variable)
            for gradient, variable in zip(
                map(gradients_lib.from_tape, gradients), variables, strict=True
            )
            if gradient is not None
        ]
        if not updated:
            return
        keys = [initializers.key(variable) for _, variable in updated]
        one = tf.constant(1, tf.int64)
        counts = tf.stack([self.updates[key].assign_add(one) for key in keys])
        clocks = self._clocks(tf.cast(counts, tf.float32))
        for key, clock, (gradient, variable) in zip(keys, clocks, updated, strict=True):
            factor = self._rate_factors[key]
            rate = learning_rate if factor == 1.0 else learning_rate * factor
            self._decay(variable, gradient, rate)
            self._update(variable, gradient, rate, clock)

    def _decay(
        self, variable: tf.Variable, gradient: Gradient, learning_rate: tf.Tensor
    ) -> None:
        """Makes a matrix smaller, apart from its gradient."""
        decay = self._hparams.weight_decay
        is_decoupled = self._hparams.weight_decay_type == "decoupled"
        if decay and is_decoupled and variable.shape.rank >= 2:
            variable.assign_sub(learning_rate * decay * variable)


class _AdamClock(NamedTuple):
    """The numbers of an update of Adam, `[]` float32.

    Attributes:
      beta1: decay of the first moment.
      beta2: of the second.
      epsilon: what divisors have at least.
      power1: `beta1` to the number of updates.
      power2: `beta2` likewise.
    """

    beta1: tf.Tensor
    beta2: tf.Tensor
    epsilon: tf.Tensor
    power1: tf.Tensor
    power2: tf.Tensor


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015)."""

    def _clocks(self, counts: tf.Tensor) -> Sequence[_AdamClock]:
        hparams = self._hparams
        beta1 = tf.constant(hparams.optimizer_adam_beta1)
        beta2 = tf.constant(hparams.optimizer_adam_beta2)
        epsilon = tf.constant(hparams.optimizer_adam_epsilon)
        powers = (tf.unstack(tf.pow(beta, counts)) for beta in (beta1, beta2))
        return [
            _AdamClock(beta1, beta2, epsilon, power1, power2)
            for power1, power2 in zip(*powers, strict=True)
        ]

    def _make_slots(self, variables: Sequence[tf.Variable]) -> None:
        self.first_moments = {
            initializers.key(v): _slot("first_moment", v.shape) for v in variables
        }
        self.second_moments = {
            initializers.key(v): _slot("second_moment", v.shape) for v in variables
        }

    def _update(
        self,
        variable: tf.Variable,
        gradient: Gradient,
        learning_rate: tf.Tensor,
        clock: _AdamClock,
    ) -> None:
        # One fused kernel: reads and writes each number once.
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self.first_moments[initializers.key(variable)].handle,
            v=self.second_moments[initializers.key(variable)].handle,
            beta1_power=clock.power1,
            beta2_power=clock.power2,
            lr=learning_rate,
            beta1=clock.beta1,
            beta2=clock.beta2,
            epsilon=clock.epsilon,
            grad=gradient.values,
        )


class LazyAdam(Adam):
    """Adam that leaves rows of a table alone, with their moments, if no id names them.

    Tensor2Tensor's "adam". Its time goes with the ids of a batch instead of the size of
    the vocabulary. Tables that are the softmax as well have gradients in all rows.
    """

    def _decay(
        self, variable: tf.Variable, gradient: Gradient, learning_rate: tf.Tensor
    ) -> None:
        if gradient.rows is None:
            super()._decay(variable, gradient, learning_rate)

    def _update(
        self,
        variable: tf.Variable,
        gradient: Gradient,
        learning_rate: tf.Tensor,
        clock: _AdamClock,
    ) -> None:
        if gradient.rows is None:
            super()._update(variable, gradient, learning_rate, clock)
            return
        hparams, rows = self._hparams, gradient.rows
        beta1, beta2 = clock.beta1, clock.beta2
        first = self.first_moments[initializers.key(variable)]
        second = self.second_moments[initializers.key(variable)]
        values = tf.gather(gradient.values, rows)
        m = beta1 * tf.gather(first, rows) + (1.0 - beta1) * values
        v = beta2 * tf.gather(second, rows) + (1.0 - beta2) * tf.square(values)
        correction = tf.sqrt(1.0 - clock.power2) / (1.0 - clock.power1)
        step = correction * m / (tf.sqrt(v) + clock.epsilon)
        old = tf.gather(variable, rows)
        if hparams.weight_decay and hparams.weight_decay_type == "decoupled":
            step += hparams.weight_decay * old
        # An id that comes twice writes the same numbers twice.
        for table, rows_of_table in (
            (first, m),
            (second, v),
            (variable, old - learning_rate * step),
        ):
            # `Variable.scatter_update` knows no strategies.
            tf.raw_ops.ResourceScatterUpdate(
                resource=table.handle, indices=rows, updates=rows_of_table
            )


class Momentum(Optimizer):
    """Gradient descent with momentum (Sutskever et al. 2013)."""

    def _make_slots(self, variables: Sequence[tf.Variable]) -> None:
        self.velocities = {
            initializers.key(v): _slot("velocity", v.shape) for v in variables
        }

    def _update(
        self,
        variable: tf.Variable,
        gradient: Gradient,
        learning_rate: tf.Tensor,
        clock: tf.Tensor,
    ) -> None:
        tf.raw_ops.ResourceApplyMomentum(
            var=variable.handle,
            accum=self.velocities[initializers.key(variable)].handle,
            lr=learning_rate,
            grad=gradient.values,
            momentum=self._hparams.optimizer_momentum_momentum,
            use_nesterov=self._hparams.optimizer_momentum_nesterov,
        )


class Adafactor(Optimizer):
    """Adafactor (Shazeer and Stern 2018), with the constants of Tensor2Tensor.

    The second moment of a matrix is kept as means over its rows and over its columns;
    leading axes of higher ranks are so many matrices.
    """

    def _make_slots(self, variables: Sequence[tf.Variable]) -> None:
        self.moments = {
            initializers.key(variable): {
                name: _slot(name, shape)
                for name, shape in self._slot_shapes(variable.shape).items()
            }
            for variable in variables
        }

    def _slot_shapes(self, shape: tf.TensorShape) -> dict[str, tf.TensorShape]:
        shapes = {"second": shape}
        if self._hparams.optimizer_adafactor_factored and shape.rank >= 2:
            # Means over columns and over rows, of every matrix.
            shapes = {"rows": shape[:-1], "columns": shape[:-2] + shape[-1:]}
        if self._hparams.optimizer_adafactor_beta1:
            shapes["first"] = shape
        return shapes

    def _update(
        self,
        variable: tf.Variable,
        gradient: Gradient,
        learning_rate: tf.Tensor,
        clock: tf.Tensor,
    ) -> None:
        hparams, moments = self._hparams, self.moments[initializers.key(variable)]
        step = gradient.values * self._inverse_deviation(gradient, moments, clock)
        threshold = hparams.optimizer_adafactor_clipping_threshold
        if threshold:
            step /= tf.maximum(1.0, _root_mean_square(step) / threshold)
        if hparams.optimizer_adafactor_multiply_by_parameter_scale:
            learning_rate *= tf.maximum(_root_mean_square(variable), _LEAST_SCALE)
        step *= learning_rate
        if hparams.optimizer_adafactor_beta1:
            beta1 = hparams.optimizer_adafactor_beta1
            step = _mix(moments["first"], step, tf.constant(beta1))
        variable.assign_sub(step)

    def _inverse_deviation(
        self, gradient: Gradient, moments: Mapping[str, tf.Variable], count: tf.Tensor
    ) -> tf.Tensor:
        """Updates the second moment; returns the inverse of its root (section 3)."""
        decay = self._second_decay(count)
        squares = tf.square(gradient.values) + _ADAFACTOR_EPSILON
        if "second" in moments:
            return tf.math.rsqrt(_mix(moments["second"], squares, decay))
        rows = _mix(moments["rows"], tf.reduce_mean(squares, -1), decay)
        columns = _mix(moments["columns"], tf.reduce_mean(squares, -2), decay)
        of_rows = tf.math.rsqrt(rows / tf.reduce_mean(rows, -1, keepdims=True))
        # [..., rows, 1] * [..., 1, columns] -> [..., rows, columns]
        return of_rows[..., None] * tf.math.rsqrt(columns)[..., None, :]

    def _second_decay(self, count: tf.Tensor) -> tf.Tensor:
        hparams = self._hparams
        if hparams.optimizer_adafactor_decay_type == "pow":
            return 1.0 - tf.pow(count, -hparams.optimizer_adafactor_memory_exponent)
        beta2 = hparams.optimizer_adafactor_beta2
        return beta2 * (1.0 - tf.pow(beta2, count - 1.0)) / (1.0 - tf.pow(beta2, count))


def _mix(average: tf.Variable, value: tf.Tensor, decay: tf.Tensor) -> tf.Tensor:
    """Moves a moving average to `value` by 1 - `decay` and returns it."""
    return average.assign(decay * average + (1.0 - decay) * value)


def _root_mean_square(x: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_mean(tf.square(x)))


def _slot(name: str, shape: tf.TensorShape) -> tf.Variable:
    return tf.Variable(tf.zeros(shape), trainable=False, name=name)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adafactor": Adafactor,
    "adam": Adam,
    "lazy_adam": LazyAdam,
    "momentum": Momentum,
}


def make_optimizer(
    variables: Sequence[tf.Variable],
    hparams: hparam.HParams,
    rate_factors: Mapping[str, float] | None = None,
) -> Optimizer:
    """Returns the optimizer that the hparams name; see `Optimizer`."""
    return OPTIMIZERS[hparams.optimizer](variables, hparams, rate_factors)


def add_weight_decay(
    gradients: Sequence[Gradient | None],
    variables: Sequence[tf.Variable],
    hparams: hparam.HParams,
) -> list[Gradient | None]:
    """Adds the gradient of the loss that keeps weights small, if there is one.

    Variables without a gradient stay without. The decay is not decoupled: the optimizer
    scales it like the rest of the gradient.
    """
    if not hparams.weight_decay or hparams.weight_decay_type == "decoupled":
        return list(gradients)
    return [
        gradient and _decayed(gradient, variable, hparams)
        for gradient, variable in zip(gradients, variables, strict=True)
    ]


def _decayed(
    gradient: Gradient, variable: tf.Variable, hparams: hparam.HParams
) -> Gradient:
    decay, name = hparams.weight_decay, variable.name.removesuffix(":0")
    if hparams.weight_decay_type == "l2_mean":
        decay /= max(1, variable.shape.num_elements())
        is_decayed = variable.shape.rank >= 2
    else:
        is_decayed = variable.shape.rank != 1 or not name.endswith("bias")
    return Gradient(gradient.values + decay * variable) if is_decayed else gradient
