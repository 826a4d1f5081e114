"""From names to a trainer."""

import math
from collections.abc import Mapping
from typing import Any

from absl import logging

from t2t_mm import model
from t2t_mm.data import mixing, pipeline
from t2t_mm.runs import checkpoint_files, run_folder
from t2t_mm.training import (
    history,
    preflight,
    preparation,
    programs,
    run_start,
    trainer,
)
from t2t_mm.training import samples as samples_lib
from t2t_mm.training.parts import Parts
from t2t_mm.training.warm_start_config import WarmStartConfig


def build(
    *,
    data_dir: str,
    output_dir: str,
    warm_start: WarmStartConfig | None = None,
    **settings: Any,
) -> trainer.Trainer:
    """Returns a trainer that starts a run in `output_dir`, or goes on with it.

    Whatever can be found wrong with the arguments, the data or the folder is found
    here, before the first step.

    Args:
      data_dir: folder of the records.
      output_dir: folder of the run.
      warm_start: what to begin with of another run, or None.
      **settings: the other arguments of `preparation.prepare`.

    Raises:
      LookupError: if a name is not registered.
      FileNotFoundError: if records are missing.
      ValueError: if data, folder and arguments do not fit together.
      OSError: if `output_dir` cannot be written.
    """
    parts = preparation.prepare(
        data_dir=data_dir, output_dir=output_dir, warm_start=warm_start, **settings
    )
    _log_summary(parts.model, parts.batches, parts.schedule)
    programs.log(
        parts.model,
        parts.batches,
        has_shapes=bool(parts.config.jit_compile),
        at_start=parts.config.steps_per_loop > 1,
    )
    preflight.log_state(parts)
    if parts.distribution.is_chief:
        _start_folder(parts, output_dir, data_dir, warm_start)
    parts.distribution.wait_for_others()
    return trainer.Trainer(
        parts,
        output_dir=output_dir,
        describe=lambda folder: run_folder.write(
            parts.description, folder, data_dir, output_dir
        ),
        samples=_make_samples(parts, data_dir),
    )


def _make_samples(parts: Parts, data_dir: str) -> samples_lib.Samples | None:
    count = parts.config.show_samples
    is_shown = count and parts.config.eval_every_steps and parts.distribution.is_chief
    if not is_shown:
        return None
    return samples_lib.Samples(parts.model, parts.problems, data_dir, count=count)


def _start_folder(
    parts: Parts, output_dir: str, data_dir: str, warm_start: WarmStartConfig | None
) -> None:
    """Writes what a folder holds before the first step."""
    if not checkpoint_files.are_in(output_dir):
        history.write_hparams(parts.model.hparams, output_dir)
    run_start.write(parts.description, output_dir, data_dir)
    if warm_start is not None:
        run_start.take_over_weights(
            warm_start, parts, data_dir=data_dir, output_dir=output_dir
        )


def _log_summary(
    net: model.Model,
    batches: Mapping[str, pipeline.TrainBatches],
    schedule: mixing.MixingSchedule,
) -> None:
    rates = schedule.mixing.rates_at(0)
    count = sum(math.prod(variable.shape) for variable in net.trainable_variables)
    logging.info("%s | %.2f million parameters", net.name, count / 1e6)
    for name, entry in batches.items():
        shapes = ", ".join(
            f"{b.batch_size} x ({b.inputs_length}, {b.targets_length})"
            for b in entry.shapes()
        )
        logging.info(
            "%s | %d examples | %.1f %% of draws at the start | batches %s",
            name,
            entry.num_examples,
            100 * rates[name],
            shapes,
        )
