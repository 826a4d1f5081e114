"""The record of a run: TensorBoard summaries and lines of JSON.

`metrics.jsonl` has one object per line, with `step`, `problem`, `split` and the values;
steps never go down. A resumed run first cuts off what lies after the step from which it
goes on, and reads from the rest what evaluations gave: JSON keeps every bit of a float.
"""

import contextlib
import dataclasses
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from absl import logging

from t2t_mm import hparam
from t2t_mm.features import Split

METRICS_FILE = "metrics.jsonl"
SUMMARIES = "summaries"  # folder that TensorBoard reads
_BEGINNING = re.compile(rb'\{"step": (\d+), "problem": "[^"]*", "split": "(\w+)"')


class _Line(NamedTuple):
    """A line of the file; step and split are None if it is damaged."""

    start: int
    content: bytes
    step: int | None
    split: str | None


class History:
    """Writes the values of a run as they come."""

    def __init__(self, output_dir: str, *, first_step: int) -> None:
        """Opens the record of the run in `output_dir`.

        Args:
          output_dir: folder of the run.
          first_step: what was recorded after it is dropped.
        """
        self._output_dir = output_dir
        self._writers: dict[str, Any] = {}
        self._path = os.path.join(output_dir, METRICS_FILE)
        for line in _lines(output_dir):
            is_later = line.step is not None and line.step > first_step
            if is_later or not line.content.endswith(b"\n"):
                os.truncate(self._path, line.start)
                break

    def recorded(self, step: int, split: str) -> dict[str, dict[str, Any]]:
        """Returns the values of all problems that are recorded for a step."""
        rows = [
            json.loads(line.content)
            for line in _lines(self._output_dir)
            if (line.step, line.split) == (step, split)
        ]
        return {row["problem"]: _values(row) for row in rows}

    def forget(self, step: int, split: str) -> None:
        """Cuts off the rows of a split at the last step, and what follows them."""
        for line in _lines(self._output_dir):
            if (line.step, line.split) == (step, split):
                os.truncate(self._path, line.start)
                break

    def write(
        self, step: int, problem: str, split: str, values: Mapping[str, Any]
    ) -> None:
        """Records values of one problem; lists in nested ones become histograms."""
        import tensorflow as tf  # late: reading a record needs none

        scalars = {}
        for name, value in values.items():
            of_layers = value if isinstance(value, dict) else {"": value}
            for layer, of_layer in of_layers.items():
                tag = f"{problem}/{name}/{layer}".rstrip("/")
                if isinstance(of_layer, list):
                    with self.summaries(step, split):
                        tf.summary.histogram(tag, of_layer)
                else:
                    scalars[tag] = of_layer
        self.write_scalars(step, split, scalars)
        row = {"step": step, "problem": problem, "split": split, **values}
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise OSError(
                f"'{self._path}' cannot be written: {error.strerror}."
            ) from error

    def write_scalars(self, step: int, split: str, scalars: Mapping[str, Any]) -> None:
        """Sends scalars to TensorBoard, by their tags.

        All at once: `tf.summary.scalar` takes 0.2 ms for each, this 0.02 ms.
        """
        import tensorflow as tf  # late: reading a record needs none
        from tensorboard.compat.proto import summary_pb2
        from tensorboard.plugins.scalar import summary_v2 as scalar_summary

        summary = summary_pb2.Summary()
        for tag, value in scalars.items():
            summary.MergeFrom(scalar_summary.scalar_pb(tag, value))
        with self.summaries(step, split):
            tf.summary.experimental.write_raw_pb(summary.SerializeToString())

    def summaries(
        self, step: int, split: str
    ) -> contextlib.AbstractContextManager[object]:
        """Sends what `tf.summary` is given in a context to TensorBoard."""
        import tensorflow as tf  # late: reading a record needs none

        if split not in self._writers:
            folder = os.path.join(self._output_dir, SUMMARIES, split)
            self._writers[split] = tf.summary.create_file_writer(folder)
        return self._writers[split].as_default(step=step)

    def flush(self) -> None:
        """Makes everything so far visible to TensorBoard, and safe from power cuts."""
        for writer in self._writers.values():
            writer.flush()
        if os.path.exists(self._path):
            with open(self._path, "ab") as file:
                os.fsync(file.fileno())


def write_hparams(hparams: hparam.HParams, output_dir: str) -> None:
    """Tells TensorBoard's table of runs about the settings of one.

    They lie beside the metrics of dev, so the table has these too.
    """
    import tensorflow as tf  # late: reading a record needs none
    from tensorboard.plugins.hparams import api  # late: it takes a while

    values = {
        field: value if isinstance(value, bool | int | float) else str(value)
        for field, value in dataclasses.asdict(hparams).items()
    }
    folder = os.path.join(output_dir, SUMMARIES, Split.EVAL)
    with tf.summary.create_file_writer(folder).as_default():
        api.hparams(values, trial_id=os.path.abspath(output_dir))


def read(output_dir: str) -> list[dict[str, Any]]:
    """Returns the rows recorded in `output_dir`; none if there is no record.

    Damaged lines, such as a last one that was cut off, are left out.
    """
    return [
        json.loads(line.content)
        for line in _lines(output_dir)
        if line.step is not None and line.content.endswith(b"}\n")
    ]


def evaluations(
    output_dir: str, split: str
) -> Iterator[tuple[int, dict[str, dict[str, Any]]]]:
    """Yields the recorded values of a split, {problem: {name: value}}, step by step."""
    results: dict[str, dict[str, Any]] = {}
    step = None
    for line in _lines(output_dir):
        if line.split != split or not line.content.endswith(b"}\n"):
            continue
        row = json.loads(line.content)
        if step is not None and row["step"] != step:
            yield step, results
            results = {}
        step = row["step"]
        results[row["problem"]] = _values(row)
    if step is not None:
        yield step, results


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    names = row.keys() - {"step", "problem", "split"}
    return {name: value for name, value in row.items() if name in names}


def _lines(output_dir: str) -> Iterator[_Line]:
    """Yields the lines of the record, without holding or parsing all of it."""
    path = os.path.join(output_dir, METRICS_FILE)
    if not os.path.exists(path):
        return
    start = 0
    with open(path, "rb") as file:
        for number, content in enumerate(file, 1):
            match = _BEGINNING.match(content)
            if match is None and content.endswith(b"\n"):
                logging.warning("Line %d of '%s' is damaged.", number, path)
            step, split = (int(match[1]), match[2].decode()) if match else (None, None)
            yield _Line(start, content, step, split)
            start += len(content)
