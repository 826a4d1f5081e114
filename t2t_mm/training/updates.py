"""The compiled parts of a step: gradients, their sums, and one update.

A step of one batch is one program. One of several batches takes gradients batch by
batch, so it needs the memory of one, and sums them: the batches of a problem to the
gradient of their joint mean, as if they were one batch, and then the problems to the
gradient of the mean of their losses.
"""

import contextlib
import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import tensorflow as tf

from t2t_mm import averaging
from t2t_mm import model as model_lib
from t2t_mm.layers import compilation, initializers, moe, randomness
from t2t_mm.training import distribution as distribution_lib
from t2t_mm.training import gradients as gradients_lib
from t2t_mm.training import norms, optimizers
from t2t_mm.training.gradients import Gradient
from t2t_mm.training.step_values import BatchOutput, Draw, Features, UpdateOutput

# Gradients of all trained variables with what they were taken of.
_Part = tuple[list[Gradient | None], BatchOutput]


class Updates:
    """Makes updates of a model; each part is compiled once per problem and shape.

    Attributes:
      compiled: programs by what decides their graph, for tests and reports.
      modules: parts of the model that are told apart.
      has_static_shapes: whether each shape of batches has a program of its own.
    """

    def __init__(
        self,
        model: model_lib.Model,
        optimizer: optimizers.Optimizer,
        average: averaging.WeightAverage | None,
        distribution: distribution_lib.Distribution | None = None,
        *,
        jit_compile: bool,
    ) -> None:
        """Creates an updater.

        Args:
          model: what to train.
          optimizer: made for variables of the model; the others stay as they are.
          average: of the same variables as the optimizer's, or None.
          distribution: what the variables were made for; None for one device.
          jit_compile: compile with XLA.
        """
        self._model = model
        self._optimizer = optimizer
        self._average = average
        self._distribution = distribution or distribution_lib.Distribution()
        self._jit_compile = jit_compile
        self.has_static_shapes = jit_compile or self._distribution.compiles
        self._variables = [
            variable
            for variable in model.trainable_variables
            if initializers.key(variable) in optimizer.updates
        ]
        self.modules = norms.Modules(self._variables)
        self.compiled: dict[Hashable, Callable[..., Any]] = {}
        self._merge = self._on_replicas(_merge)
        self._join = self._on_replicas(self._join_outputs)
        self._sum = self._on_replicas(gradients_lib.add)
        self._apply_mean = tf.function(
            self._mean_update, reduce_retracing=True, autograph=False
        )
        self._compiled_update = self._with_xla(self._update)

    def _with_xla(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compiles what a replica computes by itself, if that is wanted."""
        if not self._jit_compile:
            return function
        return tf.function(function, jit_compile=True, autograph=False)

    def _on_replicas(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return tf.function(
            functools.partial(self._distribution.run, function),
            reduce_retracing=True,
            autograph=False,
        )

    def step(
        self,
        draws: Sequence[Draw],
        learning_rate: float | tf.Tensor,
        seed: tuple[int, int | tf.Tensor],
    ) -> tuple[list[BatchOutput], UpdateOutput]:
        """Makes one update; returns what every draw gave, and the update itself.

        Args:
          draws: problems and their batches.
          learning_rate: of the optimizer.
          seed: of dropout and noise; int32, different for every step.
        """
        rate = tf.convert_to_tensor(learning_rate, tf.float32)
        seeds = tf.convert_to_tensor(seed, tf.int32)
        if len(draws) == 1 and len(draws[0].batches) == 1:
            ((problem, (batch,), weight),) = draws
            program = self._program(problem, self._whole_step, rate=True)
            output, update = program(batch, tf.constant(weight), seeds, rate)
            return [output], update
        outputs: list[BatchOutput] = []
        total: list[Gradient | None] | None = None
        for number, draw in enumerate(draws):
            part = self._draw_gradients(draw, seeds, number)
            total = part[0] if total is None else self._sum(total, part[0])
            outputs.append(self._distribution.first(part[1]))
        losses = tf.stack([output.loss for output in outputs])
        return outputs, self._apply_mean(total, losses, rate)

    def _draw_gradients(self, draw: Draw, seed: tf.Tensor, number: int) -> _Part:
        program = self._program(draw.problem, self._all_gradients, rate=False)
        parts: _Part | None = None
        for position, batch in enumerate(draw.batches):
            own_seed = _fold(seed, number * len(draw.batches) + position)
            part = program(batch, tf.constant(draw.loss_weight), own_seed)
            parts = part if parts is None else self._merge(parts, part)
        if parts is None:
            raise ValueError("A draw must have a batch.")
        return self._join(parts)

    def _program(
        self, problem: str, function: Callable[..., Any], *, rate: bool
    ) -> Callable[..., Any]:
        """Returns the compiled function of a problem, or of one like it."""
        if tf.inside_function() and self._distribution.num_replicas > 1:
            # A function in a branch of another one loses the keys of its collective
            # operations: TensorFlow hands them on where it is called, and not there.
            return functools.partial(function, problem)
        key = (self._model.graph_key(problem), rate)
        if key not in self.compiled:

            def of_problem(*arguments: Any) -> Any:
                return function(problem, *arguments)

            scalar = tf.TensorSpec([], tf.float32)
            signature = [
                self._distribution.signature(self._model.signature(problem)),
                scalar,
                tf.TensorSpec([2], tf.int32),
                *[scalar] * rate,
            ]
            self.compiled[key] = (
                # XLA wants static shapes: one program for each.
                tf.function(of_problem, autograph=False)
                if self.has_static_shapes
                else tf.function(of_problem, input_signature=signature, autograph=False)
            )
        return self.compiled[key]

    def _whole_step(
        self,
        problem: str,
        features: Features,
        loss_weight: tf.Tensor,
        seed: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> tuple[BatchOutput, UpdateOutput]:
        parts = self._all_gradients(problem, features, loss_weight, seed)
        gradients, outputs = self._distribution.run(self._join_outputs, parts)
        output = self._distribution.first(outputs)
        return output, self._sum_and_update(gradients, output.loss, learning_rate)

    def _all_gradients(
        self,
        problem: str,
        features: Features,
        loss_weight: tf.Tensor,
        seed: tf.Tensor,
    ) -> _Part:
        """Returns the gradients of every replica, of its rows alone."""
        compute = self._with_xla(functools.partial(self._gradients, problem))

        def of_replica(
            features: Features, loss_weight: tf.Tensor, seed: tf.Tensor
        ) -> _Part:
            seed = self._distribution.replica_seed(seed)
            return compute(features, loss_weight, seed)

        return self._distribution.run(of_replica, features, loss_weight, seed)

    def _gradients(
        self,
        problem: str,
        features: Features,
        loss_weight: tf.Tensor,
        seed: tf.Tensor,
    ) -> _Part:
        with (
            compilation.tracing_for_xla(self.has_static_shapes),
            tf.GradientTape() as tape,
        ):
            rng = randomness.RandomStream(seed)
            output = self._model(features, problem=problem, rng=rng)
            loss = output.loss.total / tf.maximum(output.loss.weight, 1.0)
            extra_loss = sum(output.extra_losses.values(), tf.constant(0.0))
            total = (loss + extra_loss) * loss_weight
        gradients = tape.gradient(total, self._variables)
        examples = tf.math.count_nonzero(features["targets_length"], dtype=tf.float32)
        return [gradients_lib.from_tape(g) for g in gradients], BatchOutput(
            loss,
            extra_loss,
            output.loss.weight,
            examples,
            _drop_rate(list(output.experts.values())),
        )

    def _mean_update(
        self,
        total: Sequence[Gradient | None],
        losses: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> UpdateOutput:
        """Updates by the mean of the gradients that `total` is the sum of."""
        share = 1.0 / tf.cast(tf.shape(losses)[0], tf.float32)
        gradients = self._distribution.run(gradients_lib.scale, total, share)
        return self._sum_and_update(gradients, losses, learning_rate)

    def _join_outputs(self, part: _Part) -> _Part:
        """Makes a replica's part its share of one mean over all of them.

        Returns:
          Gradients that are yet to be summed over the replicas, and what all rows
          together gave.
        """
        gradients, output = part
        if self._distribution.num_replicas == 1:
            return part
        targets = self._distribution.add_up(output.targets)
        share = output.targets / tf.maximum(targets, 1.0)
        means = (output.loss, output.extra_loss, output.drop_rate)
        loss, extra_loss, drop_rate, examples = tf.unstack(
            self._distribution.add_up(
                tf.stack([*(share * mean for mean in means), output.examples])
            )
        )
        joined = BatchOutput(loss, extra_loss, targets, examples, drop_rate)
        return gradients_lib.scale(gradients, share), joined

    def _sum_and_update(
        self,
        gradients: Sequence[Gradient | None],
        losses: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> UpdateOutput:
        """Sums gradients over the replicas and updates all of them alike."""
        distribution = self._distribution
        if distribution.num_replicas > 1:
            gradients = distribution.run(self._add_up, gradients)
        return distribution.update(
            self._variables[0], self._compiled_update, gradients, losses, learning_rate
        )

    def _add_up(self, gradients: Sequence[Gradient | None]) -> list[Gradient | None]:
        distribution = self._distribution
        sums = iter(distribution.add_up([g.values for g in gradients if g is not None]))
        return [
            g
            and Gradient(
                next(sums), None if g.rows is None else distribution.join(g.rows)
            )
            for g in gradients
        ]

    def _update(
        self,
        gradients: Sequence[Gradient | None],
        losses: tf.Tensor,
        learning_rate: tf.Tensor,
    ) -> UpdateOutput:
        hparams = self._model.hparams
        gradients = optimizers.add_weight_decay(gradients, self._variables, hparams)
        half_squares = gradients_lib.half_squares(
            [None if g is None else g.values for g in gradients]
        )
        module_norms = self.modules.norms(half_squares)
        norm = gradients_lib.global_norm(half_squares)
        gradients = gradients_lib.clip(gradients, norm, hparams.clip_grad_norm)
        are_finite = tf.math.is_finite(norm) & tf.reduce_all(tf.math.is_finite(losses))

        def apply() -> tf.Tensor:
            self._optimizer.apply(gradients, self._variables, learning_rate)
            self._move_average(gradients)
            return tf.constant(True)

        applied = tf.cond(are_finite, apply, lambda: tf.constant(False))
        return UpdateOutput(norm, applied, module_norms)

    def parameter_norms(self) -> dict[str, float]:
        """Returns the norm of the trained variables by module."""
        values = [tf.convert_to_tensor(variable) for variable in self._variables]
        half_squares = gradients_lib.half_squares(values)
        return self.modules.by_name(self.modules.norms(half_squares))

    def _move_average(self, gradients: Sequence[Gradient | None]) -> None:
        if self._average is not None:
            updated = [
                variable
                for gradient, variable in zip(gradients, self._variables, strict=True)
                if gradient is not None
            ]
            counts = self._optimizer.updates
            self._average.update(
                updated, [counts[initializers.key(variable)] for variable in updated]
            )

    def averaged(self) -> contextlib.AbstractContextManager[None]:
        """Gives the model the average of its weights in a context, if there is one."""
        if self._average is None:
            return contextlib.nullcontext()
        return self._average.applied(self._variables)


def _merge(one: _Part, other: _Part) -> _Part:
    """Joins parts of one problem to what both batches together would give."""
    (ones, of_one), (others, of_other) = one, other
    targets = of_one.targets + of_other.targets
    share = of_one.targets / tf.maximum(targets, 1.0)
    share_of_other = of_other.targets / tf.maximum(targets, 1.0)

    def mean(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return x * share + y * share_of_other

    gradients = gradients_lib.add(
        gradients_lib.scale(ones, share), gradients_lib.scale(others, share_of_other)
    )
    return gradients, BatchOutput(
        mean(of_one.loss, of_other.loss),
        mean(of_one.extra_loss, of_other.extra_loss),
        targets,
        of_one.examples + of_other.examples,
        mean(of_one.drop_rate, of_other.drop_rate),
    )


def _fold(seed: tf.Tensor, number: int) -> tf.Tensor:
    """Returns the seed of batch `number` of a step."""
    if number == 0:
        return seed
    # Layers fold positive numbers into it.
    return tf.random.experimental.stateless_fold_in(
        seed, -number, alg=randomness.ALGORITHM
    )


def _drop_rate(layers: Sequence[moe.ExpertStats]) -> tf.Tensor:
    """Returns the share of all layers' choices for which there was no room."""
    if not layers:
        return tf.zeros([])
    chosen = tf.add_n([tf.reduce_sum(stats.load) for stats in layers])
    return tf.add_n([stats.dropped for stats in layers]) / tf.maximum(chosen, 1.0)
