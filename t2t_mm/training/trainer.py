"""The training loop.

Everything that happens at a step is a function of the seed, the step and what the
last checkpoint holds: which problem is drawn, which batch of it, every dropout mask. So
a run that is stopped and started again computes the same bits as one that was not.
"""

import contextlib
import os
import signal
import time
import types
from collections.abc import Callable, Mapping
from typing import Any

from absl import logging

from t2t_mm.features import Split
from t2t_mm.training import (
    checkpoint,
    dev_watch,
    early_end,
    evaluation,
    history,
    profiling,
    progress,
    rescue,
    retention,
    stepper,
    summaries,
)
from t2t_mm.training import parts as parts_lib
from t2t_mm.training import samples as samples_lib

_STEPS_BETWEEN_AGREEMENTS = 10  # each waits for the slowest worker


class Trainer:
    """Trains one model on one or more problems, a batch of one or some per step.

    Attributes:
      model: what is trained.
      state: where the run stands.
    """

    def __init__(
        self,
        parts: parts_lib.Parts,
        *,
        output_dir: str,
        describe: Callable[[str], None],
        samples: samples_lib.Samples | None = None,
    ) -> None:
        """Restores the newest checkpoint of `output_dir`, if there is one.

        Args:
          parts: what the run is made of.
          output_dir: folder of the run.
          describe: writes the description of the run to another folder.
          samples: of the same model, to show in TensorBoard; None for none.
        """
        self.model = parts.model
        self._config = parts.config
        self._distribution = parts.distribution
        self._sources = parts.sources
        self._learning_rate = parts.learning_rate
        self._evaluator = parts.evaluator
        self.state = checkpoint.RunState(parts.model.problems)
        self._stepper = stepper.Stepper(parts, self.state)
        self._updates = self._stepper.updates
        self._checkpoints = _make_checkpoints(parts, self.state, output_dir)
        self._checkpoints.restore_latest()
        self._distribution.check_equal("the step to go on from", self.state.step)
        self._rescue = rescue.Rescue(self._checkpoints, describe)
        self._saved_time = time.monotonic()
        self._stop_signal: str | None = None
        self._stops_at: int | None = None
        self._make_observers(samples)

    def _make_observers(self, samples: samples_lib.Samples | None) -> None:
        """Makes what looks on from the present step: records, table, decisions."""
        config, step = self._config, self.state.step
        folder = self._distribution.own_folder(self._checkpoints.output_dir)
        self._progress = progress.Progress(
            self.state,
            list(self._sources),
            config.train_steps,
            max_skipped_steps=config.max_skipped_steps,
        )
        self._history = history.History(folder, first_step=step)
        self._summaries = summaries.Summaries(
            self._history, self._updates, samples, config
        )
        self._profiler = profiling.Profiler(
            config.profiled_steps if self._distribution.is_chief else range(0),
            os.path.join(folder, history.SUMMARIES),
        )
        self._dev_watch = dev_watch.DevWatch(
            config,
            self._evaluator.metric_names,
            folder,
            self._copy_checkpoint,
            step=step,
        )

    def train_and_evaluate(self) -> dict[str, dict[str, Any]]:
        """Trains up to `train_steps`, evaluating on the way and at the end.

        Returns:
          The last evaluation, {problem: {metric: value}}; empty if it was stopped.

        Raises:
          FloatingPointError: if too many steps of a problem were not finite; names the
            problem and the step.
        """
        self.train()
        if self.stopped:
            return {}
        step = self.state.step
        return self._dev_watch.results_of(step) or self.evaluate(Split.EVAL)

    def train(self) -> None:
        """Trains up to `train_steps`, evaluating on the way but not at the end.

        Ctrl-C and SIGTERM stop it after the step at hand, with a checkpoint. So does a
        metric that early stopping watches.

        Raises:
          FloatingPointError: as `train_and_evaluate`.
        """
        with (
            self._stopping_on_signals(),
            contextlib.closing(self._progress),
            contextlib.closing(self._profiler),
        ):
            self._catch_up()
            if not self._is_over():
                self._note_end()  # it is not there yet
            while not self._is_over():
                self._train_until(self._next_pause())
                with self._rescue_at_hand():
                    if self.stopped or self._is_time_to_save():
                        self._save()
                    if self._is_time_to_evaluate() and not self.stopped:
                        self.evaluate(Split.EVAL)
        with self._rescue_at_hand():
            self._save()
            self._note_end()
        if self.stopped:
            logging.warning(
                "Stopped by %s at step %d, which is saved; the same command goes on "
                "from there.",
                self._stop_signal,
                self.state.step,
            )
        elif self._dev_watch.stop_reason:
            logging.info(
                "Stopped early at step %d: %s.",
                self.state.step,
                self._dev_watch.stop_reason,
            )

    @property
    def stopped(self) -> bool:
        """Whether a signal asked the run to stop, and all workers know."""
        if self._distribution.num_workers > 1:
            return self._stops_at == self.state.step
        return self._stop_signal is not None

    def _agree_to_stop(self, before: int) -> None:
        """Lets all workers stop after the same step if one of them is to.

        Args:
          before: step at which it was last thought of.
        """
        step, workers = self.state.step, self._distribution.num_workers
        every = _STEPS_BETWEEN_AGREEMENTS
        if workers > 1 and step // every > before // every:
            if self._distribution.any_worker(self._stop_signal is not None):
                self._stop_signal = self._stop_signal or "a signal to another worker"
                self._stops_at = step

    def _is_over(self) -> bool:
        is_last = self.state.step >= self._config.train_steps
        return is_last or self.stopped or self._dev_watch.stop_reason is not None

    def _next_pause(self) -> int:
        config, step = self._config, self.state.step
        periods = [config.log_every_steps]
        periods += [] if config.save_every_seconds else [config.save_every_steps]
        periods += [config.eval_every_steps] if config.eval_every_steps else []
        pauses = [step + p - step % p for p in periods] + self._profiler.pauses(step)
        return min(config.train_steps, *pauses)

    def _is_time_to_save(self) -> bool:
        if self._config.save_every_seconds:
            return self._is_overdue()
        return self.state.step % self._config.save_every_steps == 0

    def _is_overdue(self) -> bool:
        """Whether too many seconds have gone by since the last checkpoint."""
        most = self._config.save_every_seconds
        return bool(most) and time.monotonic() - self._saved_time >= most

    def _save(self) -> None:
        if self._distribution.is_chief:
            self._checkpoints.save()
        self._saved_time = time.monotonic()

    def _copy_checkpoint(self, path: str) -> None:
        if self._distribution.is_chief:
            self._checkpoints.copy(path)

    def _rescue_at_hand(self) -> contextlib.AbstractContextManager[None]:
        if self._distribution.is_chief:
            return self._rescue.at_hand()
        return contextlib.nullcontext()

    def _is_time_to_evaluate(self) -> bool:
        """Whether an evaluation is due that is not that of the end."""
        step = self.state.step
        return step < self._config.train_steps and self._config.is_evaluation_due(step)

    def _train_until(self, pause: int) -> None:
        self._profiler.at(self.state.step)
        since = time.monotonic()
        while self.state.step < pause and not self.stopped:
            before = self.state.step
            for made in self._stepper.steps(pause - before):
                self._progress.add(*made)
            self._agree_to_stop(before)
            if self._is_overdue():
                break
        step = self.state.step
        means = self._progress.flush(since, self._learning_rate(step - 1))
        for problem, values in means.items():
            values["learning_rate"] *= self._sources[problem].rate_factor
        with self._rescue_at_hand():
            self._summaries.write_gradient_norms(
                self.state.step, self._progress.latest_updates
            )
            self._record(Split.TRAIN, means)

    def _record(self, split: Split, results: Mapping[str, Mapping[str, Any]]) -> None:
        for problem, values in results.items():
            self._history.write(self.state.step, problem, split, values)
        self._history.flush()

    def evaluate(self, split: Split) -> dict[str, dict[str, Any]]:
        """Evaluates all problems on a split and records the results."""
        with self._updates.averaged():
            results = self._evaluator.evaluate(split)
            self._summaries.show_samples(self.state.step, split)
        self._summaries.write_parameter_norms(self.state.step)
        self._record(split, results)
        if split == Split.EVAL:
            self._heed(results)
        return results

    def _heed(self, results: Mapping[str, Mapping[str, Any]]) -> None:
        """Lets an evaluation on dev decide what depends on it.

        What decides how training goes on are the evaluations that are due, so that a
        run does not depend on where an earlier command ended.
        """
        if self._config.is_evaluation_due(self.state.step):
            self.state.record_losses(
                {problem: row[evaluation.LOSS] for problem, row in results.items()}
            )
        self._dev_watch.add(self.state.step, results)

    def _catch_up(self) -> None:
        """Makes up for the evaluation of this step, if the run died on the way there.

        Its checkpoint was written before.
        """
        step, is_due = self.state.step, self._is_time_to_evaluate()
        results = self._history.recorded(step, Split.EVAL)
        if is_due and results.keys() == self._evaluator.metric_names.keys():
            self._heed(results)
            return
        if is_due or step >= self._config.train_steps:
            self._history.forget(step, Split.EVAL)
        if is_due:
            self.evaluate(Split.EVAL)

    def _note_end(self) -> None:
        """Tells who watches the folder that no checkpoint comes any more, or forgets.

        The run may go on one day, with more steps or without early stopping.
        """
        if self._distribution.is_chief:
            early_end.note(
                self._checkpoints.output_dir,
                self.state.step,
                None if self.stopped else self._dev_watch.stop_reason,
            )

    def _stopping_on_signals(self) -> "_Stopping":
        return _Stopping(self)

    def request_stop(self, reason: str) -> None:
        """Makes `train_and_evaluate` stop after the step at hand."""
        self._stop_signal = reason


def _make_checkpoints(
    parts: parts_lib.Parts, state: checkpoint.RunState, output_dir: str
) -> checkpoint.Checkpoints:
    config = parts.config
    keep = retention.Retention(
        newest=config.keep_checkpoints, every_hours=config.keep_every_hours
    )
    return checkpoint.Checkpoints(
        parts.model,
        parts.optimizer,
        state,
        output_dir,
        keep=keep,
        average=parts.average,
    )


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
