"""The record of a run: TensorBoard summaries and lines of JSON.

`metrics.jsonl` has one object per line, with `step`, `problem`, `split` and the values;
a resumed run first drops what lies after the step from which it goes on.
"""

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from t2t_mm import hparam

METRICS_FILE = "metrics.jsonl"
SUMMARIES = "summaries"  # folder that TensorBoard reads


class History:
    """Writes the values of a run as they come."""

    def __init__(self, output_dir: str, *, first_step: int) -> None:
        """Opens the record of the run in `output_dir`.

        Args:
          output_dir: folder of the run.
          first_step: what was recorded after it is dropped.
        """
        self._output_dir = output_dir
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        path = os.path.join(output_dir, METRICS_FILE)
        kept = [row for row in read(output_dir) if row["step"] <= first_step]
        with open(f"{path}.partial", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in kept)
        os.replace(f"{path}.partial", path)
        self._path = path

    def write(
        self, step: int, problem: str, split: str, values: Mapping[str, Any]
    ) -> None:
        """Records values of one problem; lists in nested ones become histograms."""
        with self.summaries(step, split):
            for name, value in values.items():
                if not isinstance(value, dict):
                    tf.summary.scalar(f"{problem}/{name}", value)
                    continue
                for layer, of_layer in value.items():
                    kind = tf.summary.scalar
                    if isinstance(of_layer, list):
                        kind = tf.summary.histogram
                    kind(f"{problem}/{name}/{layer}", of_layer)
        row = {"step": step, "problem": problem, "split": split, **values}
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def summaries(
        self, step: int, split: str
    ) -> contextlib.AbstractContextManager[object]:
        """Sends what `tf.summary` is given in a context to TensorBoard."""
        if split not in self._writers:
            folder = os.path.join(self._output_dir, SUMMARIES, split)
            self._writers[split] = tf.summary.create_file_writer(folder)
        return self._writers[split].as_default(step=step)

    def flush(self) -> None:
        """Makes everything so far visible to TensorBoard."""
        for writer in self._writers.values():
            writer.flush()


def write_hparams(hparams: hparam.HParams, output_dir: str) -> None:
    """Tells TensorBoard's table of runs about the settings of one."""
    from tensorboard.plugins.hparams import api  # late: it takes a while

    values = {
        field: value if isinstance(value, bool | int | float) else str(value)
        for field, value in dataclasses.asdict(hparams).items()
    }
    folder = os.path.join(output_dir, SUMMARIES)
    with tf.summary.create_file_writer(folder).as_default():
        api.hparams(values, trial_id=os.path.abspath(output_dir))


def read(output_dir: str) -> list[dict[str, Any]]:
    """Returns the rows recorded in `output_dir`; none if there is no record.

    A last line that was cut off while it was written is left out.
    """
    path = os.path.join(output_dir, METRICS_FILE)
    if not os.path.exists(path):
        return []
    rows = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return rows
