"""One step of everything, before a run costs time: `--schedule=test`.

Every problem makes an update with its largest batch and evaluates one of dev. Nothing
is written; the weights that come of it are thrown away.
"""

from collections.abc import Sequence

import tensorflow as tf
from absl import logging

from t2t_mm.features import Split
from t2t_mm.training import memory, preflight, step_values, updates
from t2t_mm.training.parts import Parts


def run(parts: Parts, rows: Sequence[preflight.Row]) -> list[preflight.Row]:
    """Tries the largest batch of every problem, then evaluates.

    Args:
      parts: of the run; its weights change.
      rows: estimates of all batches.

    Returns:
      The rows, with what was measured.

    Raises:
      ValueError: if a step does not fit into the memory of an accelerator; names it.
    """
    trainer = updates.Updates(
        parts.model,
        parts.optimizer,
        parts.average,
        jit_compile=bool(parts.config.jit_compile),
    )
    largest = {_largest(rows, problem) for problem in parts.batches}
    # The largest of all comes first: if it does not fit, that shows at once.
    by_size = sorted(largest, key=lambda row: row.activations, reverse=True)
    measured = {row: _try_step(parts, trainer, row) for row in by_size}
    parts.evaluator.evaluate(Split.EVAL)
    return [row._replace(measured=measured.get(row)) for row in rows]


def _largest(rows: Sequence[preflight.Row], problem: str) -> preflight.Row:
    return max(
        (row for row in rows if row.problem == problem),
        key=lambda row: row.activations,
    )


def _try_step(parts: Parts, trainer: updates.Updates, row: preflight.Row) -> int:
    """Makes an update; returns the peak of memory in bytes."""
    memory.reset_peak()
    hparams = parts.model.hparams
    example = parts.batches[row.problem].example_batch(row.bucket)
    batch = parts.model.prepare(example, row.problem)
    draw = step_values.Draw(row.problem, [batch] * hparams.batches_per_update)
    try:
        outputs, update = trainer.step(
            [draw] * hparams.problems_per_update,
            parts.learning_rate(0),
            (parts.config.seed, 0),
        )
        loss, applied = float(outputs[0].loss), bool(update.applied)
    except tf.errors.ResourceExhaustedError:
        raise ValueError(
            f"A step of {row.problem} with a batch of "
            f"{preflight.shape_text(row.bucket)} must fit into memory, and does not. "
            "Lower `batch_size`, `batch_examples` or `problem_batch_sizes`, or see "
            "--schedule=preflight."
        ) from None
    if not applied:
        raise FloatingPointError(
            f"The first step of {row.problem} is not finite: loss {loss}. Look for "
            "damaged data."
        )
    logging.info(
        "test | %s | %s | loss %.3f | peak of memory %s",
        row.problem,
        preflight.shape_text(row.bucket),
        loss,
        memory.to_text(memory.peak_bytes()),
    )
    return memory.peak_bytes()
