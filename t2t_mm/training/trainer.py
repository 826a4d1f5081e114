"""The training loop.

Everything that happens at a step is a function of the seed, the step and what the
last checkpoint holds: which problem is drawn, which batch of it, every dropout mask. So
a run that is stopped and started again computes the same bits as one that was not.
"""

import signal
import time
import types
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import tensorflow as tf
from absl import logging

from t2t_mm import model as model_lib
from t2t_mm.data import mixing
from t2t_mm.features import Split
from t2t_mm.layers import compilation, moe, randomness
from t2t_mm.training import checkpoint, evaluation, history, optimizers, progress
from t2t_mm.training import gradients as gradients_lib
from t2t_mm.training.run_config import RunConfig

Features = Mapping[str, tf.Tensor]


class Batches(Protocol):
    """Training batches of one problem, at any position."""

    def dataset(self, start: int) -> tf.data.Dataset:
        """Returns batches from number `start` on, for ever."""


class Trainer:
    """Trains one model on one or more problems, one problem per step."""

    def __init__(
        self,
        model: model_lib.Model,
        optimizer: optimizers.Optimizer,
        batches: Mapping[str, Batches],
        schedule: mixing.MixingSchedule,
        learning_rate: Callable[[int], float],
        evaluator: evaluation.Evaluator,
        *,
        config: RunConfig,
        output_dir: str,
    ) -> None:
        """Restores the newest checkpoint of `output_dir`, if there is one.

        Args:
          model: the model.
          optimizer: made for the model's variables.
          batches: training batches by problem.
          schedule: draws the problem of each step.
          learning_rate: as a function of the step.
          evaluator: of the same model and problems.
          config: how to run.
          output_dir: folder of the run.
        """
        self._model = model
        self._optimizer = optimizer
        self._batches = batches
        self._schedule = schedule
        self._learning_rate = learning_rate
        self._evaluator = evaluator
        self._config = config
        self.state = checkpoint.RunState(batches)
        self._checkpoints = checkpoint.Checkpoints(
            model, optimizer, self.state, output_dir, keep=config.keep_checkpoints
        )
        self._checkpoints.restore_latest()
        self._progress = progress.Progress(self.state.step, config.train_steps)
        self._history = history.History(output_dir, first_step=self.state.step)
        self._iterators: dict[str, Iterator[Features]] = {}
        self._steps: dict[Hashable, Callable[..., progress.StepOutput]] = {}
        self._stop_signal: str | None = None

    def _make_step(self, problem: str) -> Callable[..., progress.StepOutput]:
        """Returns the compiled update on a batch of a problem, or of one like it."""
        variables = self._model.trainable_variables

        def step(
            features: Features, learning_rate: tf.Tensor, seed: tf.Tensor
        ) -> progress.StepOutput:
            with (
                compilation.tracing_for_xla(self._config.jit_compile),
                tf.GradientTape() as tape,
            ):
                rng = randomness.RandomStream(seed)
                output = self._model(features, problem=problem, rng=rng)
                loss = output.loss.total / tf.maximum(output.loss.weight, 1.0)
                extra_loss = sum(output.extra_losses.values(), tf.constant(0.0))
                total = loss + extra_loss
            gradients, norm = gradients_lib.clip_by_global_norm(
                [gradients_lib.from_tape(g) for g in tape.gradient(total, variables)],
                self._model.hparams.clip_grad_norm,
            )
            self._optimizer.apply(gradients, variables, learning_rate)
            return progress.StepOutput(
                loss,
                extra_loss,
                output.loss.weight,
                norm,
                _drop_rate(output.experts.values()),
            )

        if self._config.jit_compile:  # XLA wants static shapes: one program for each
            return tf.function(step, jit_compile=True)
        return tf.function(
            step,
            input_signature=[
                self._model.signature(problem),
                tf.TensorSpec([], tf.float32),
                tf.TensorSpec([2], tf.int32),
            ],
        )

    def _train_step(self) -> tuple[str, progress.StepOutput]:
        step = self.state.step
        problem = self._schedule.problem_at(step)
        if problem not in self._iterators:
            start = self.state.batches_seen[problem]
            self._iterators[problem] = iter(self._batches[problem].dataset(start))
        key = self._model.graph_key(problem)
        if key not in self._steps:
            self._steps[key] = self._make_step(problem)
        output = self._steps[key](
            self._model.prepare(next(self._iterators[problem]), problem),
            tf.constant(self._learning_rate(step), tf.float32),
            tf.constant([self._config.seed, step], tf.int32),
        )
        self.state.step += 1
        self.state.batches_seen[problem] += 1
        return problem, output

    def train_and_evaluate(self) -> dict[str, dict[str, Any]]:
        """Trains up to `train_steps`, evaluating on the way and at the end.

        Ctrl-C and SIGTERM stop it after the step at hand, with a checkpoint.

        Returns:
          The last evaluation, {problem: {metric: value}}; empty if it was stopped.

        Raises:
          FloatingPointError: if a loss is not finite; names the problem and the step.
        """
        with self._stopping_on_signals():
            while self.state.step < self._config.train_steps and not self.stopped:
                self._train_until(self._next_pause())
                if self.stopped or self.state.step % self._config.save_every_steps == 0:
                    self._checkpoints.save()
                if self._is_time_to_evaluate() and not self.stopped:
                    self.evaluate(Split.EVAL)
        self._checkpoints.save()
        if self.stopped:
            logging.warning(
                "Stopped by %s at step %d, which is saved; the same command goes on "
                "from there.",
                self._stop_signal,
                self.state.step,
            )
            return {}
        return self.evaluate(Split.EVAL)

    @property
    def stopped(self) -> bool:
        """Whether a signal asked the run to stop."""
        return self._stop_signal is not None

    def _next_pause(self) -> int:
        config, step = self._config, self.state.step
        periods = [config.save_every_steps, config.log_every_steps]
        periods += [config.eval_every_steps] if config.eval_every_steps else []
        return min(config.train_steps, *(step + p - step % p for p in periods))

    def _is_time_to_evaluate(self) -> bool:
        every, step = self._config.eval_every_steps, self.state.step
        return bool(every) and step % every == 0 and step < self._config.train_steps

    def _train_until(self, pause: int) -> None:
        since = time.monotonic()
        while self.state.step < pause and not self.stopped:
            problem, output = self._train_step()
            self._progress.add(self.state.step, problem, output)
        step = self.state.step
        means = self._progress.flush(step, since, self._learning_rate(step - 1))
        for problem, values in means.items():
            self._history.write(step, problem, Split.TRAIN, values)
        self._history.flush()

    def evaluate(self, split: Split) -> dict[str, dict[str, Any]]:
        """Evaluates all problems on a split and records the results."""
        results = self._evaluator.evaluate(split)
        for problem, values in results.items():
            self._history.write(self.state.step, problem, split, values)
        self._history.flush()
        return results

    def _stopping_on_signals(self) -> "_Stopping":
        return _Stopping(self)

    def request_stop(self, reason: str) -> None:
        """Makes `train_and_evaluate` stop after the step at hand."""
        self._stop_signal = reason


def _drop_rate(layers: Iterable[moe.ExpertStats]) -> tf.Tensor:
    """Returns the share of all layers' choices for which there was no room."""
    layers = list(layers)
    if not layers:
        return tf.zeros([])
    chosen = tf.add_n([tf.reduce_sum(stats.load) for stats in layers])
    return tf.add_n([stats.dropped for stats in layers]) / tf.maximum(chosen, 1.0)


class _Stopping:
    """Turns the first Ctrl-C or SIGTERM into a clean stop; a second one kills."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> None:
        try:
            for number in self._SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)
        except ValueError:  # not in the main thread: whoever is there handles signals
            logging.info("Not in the main thread: Ctrl-C will not save first.")

    def _handle(self, number: int, frame: types.FrameType | None) -> None:
        self._trainer.request_stop(signal.Signals(number).name)
        signal.signal(number, self._previous[number])

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
