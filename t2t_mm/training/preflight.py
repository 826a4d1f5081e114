"""What a run will need, before it takes off: memory by problem and shape of batches."""

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf
from absl import logging

from t2t_mm.data.bucketing import Bucket
from t2t_mm.training import activations, memory
from t2t_mm.training.parts import Parts


@dataclasses.dataclass(frozen=True, kw_only=True)
class State:
    """Bytes that a run holds or writes in every step, whatever the batch.

    Attributes:
      parameters: of the model.
      gradients: of the trained ones; twice if several batches make an update.
      slots: of the optimizer.
      average: moving average of the weights.
      program: TensorFlow, graphs and data, if they are in the same memory.
    """

    parameters: int
    gradients: int
    slots: int
    average: int
    program: int = 0

    @property
    def total(self) -> int:
        """Sum of all."""
        return sum(dataclasses.astuple(self))


class Row(NamedTuple):
    """What batches of one shape of one problem need.

    Attributes:
      problem: its name.
      bucket: the shape.
      activations: bytes, estimated.
      measured: peak of a step in bytes, if one was tried.
    """

    problem: str
    bucket: Bucket
    activations: int
    measured: int | None = None


def state(parts: Parts) -> State:
    """Returns what the state of a run takes, without the program."""
    hparams = parts.model.hparams
    sums = hparams.batches_per_update * hparams.problems_per_update > 1
    return State(
        parameters=_num_bytes(parts.model.variables),
        gradients=(1 + sums) * _num_bytes(parts.trained),
        slots=_num_bytes(parts.optimizer.variables),
        average=_num_bytes(parts.average.variables if parts.average else ()),
    )


def _num_bytes(variables: Sequence[tf.Variable]) -> int:
    return sum(activations.num_bytes(v.shape, v.dtype) for v in variables)


def state_and_program(parts: Parts) -> State:
    """Returns what the state takes, and the program as large as it is now."""
    needed = state(parts)
    if memory.has_accelerator():
        return needed
    held = needed.parameters + needed.slots + needed.average
    program = max(0, memory.process_bytes() - held)
    return dataclasses.replace(needed, program=program)


def log_state(parts: Parts) -> None:
    """Logs a line; warns if the state alone is too large."""
    needed, device = state(parts), memory.device()
    there_is = "" if device.num_bytes is None else memory.to_text(device.num_bytes)
    logging.info(
        "memory | %s before activations: parameters %s, gradients %s, %s %s%s | %s has "
        "%s | --schedule=preflight tells more",
        memory.to_text(needed.total),
        memory.to_text(needed.parameters),
        memory.to_text(needed.gradients),
        parts.model.hparams.optimizer,
        memory.to_text(needed.slots),
        f", average {memory.to_text(needed.average)}" if needed.average else "",
        device.name,
        there_is or "memory of unknown size",
    )
    if device.num_bytes is not None and needed.total > device.num_bytes:
        logging.warning(
            "The state of the run alone, %s, is more than the memory of %s, %s. A "
            "smaller model or optimizer=adafactor needs less.",
            memory.to_text(needed.total),
            device.name,
            there_is,
        )


def estimate(parts: Parts) -> list[Row]:
    """Returns a row for every shape of every problem, from long to short."""
    graphs: dict[Hashable, activations.StepGraph] = {}
    rows = []
    for name, batches in parts.batches.items():
        key = parts.model.graph_key(name)
        if key not in graphs:
            graphs[key] = activations.StepGraph(parts.model, name, parts.trained)
        for bucket in reversed(batches.shapes()):
            rows.append(Row(name, bucket, graphs[key].peak_bytes(bucket)))
        logging.info("preflight | %s", name)
    return rows


def report(
    optimizer: str, needed: State, rows: Sequence[Row], device: memory.Device
) -> str:
    """Returns a report for people.

    Args:
      optimizer: its name.
      needed: whatever the batch.
      rows: estimates, with measurements or without.
      device: where the run would be.
    """
    largest = max(rows, key=lambda row: row.activations)
    total = needed.total + largest.activations
    lines = [*_state_lines(needed, optimizer), "", *_row_lines(rows, needed), ""]
    where = f"{largest.problem}, {shape_text(largest.bucket)}"
    verdict = f"The most is {memory.to_text(total)}, for {where}."
    if device.num_bytes is not None:
        verdict += f" Memory of {device.name}: {memory.to_text(device.num_bytes)}."
        if total > device.num_bytes:
            verdict += (
                "\nThat is too little: lower `batch_size`, `batch_examples` or "
                f"`problem_batch_sizes` of {largest.problem}, or its longest lengths, "
                "`max_input_length` and `max_target_length`."
            )
    return "\n".join([*lines, verdict])


def _state_lines(needed: State, optimizer: str) -> list[str]:
    sizes: Mapping[str, int] = {
        "parameters": needed.parameters,
        "gradients": needed.gradients,
        f"slots of {optimizer}": needed.slots,
        "moving average": needed.average,
        "TensorFlow and data": needed.program,
        "together": needed.total,
    }
    width = max(map(len, sizes))
    return [f"{name:<{width}}  {memory.to_text(n):>10}" for name, n in sizes.items()]


def _row_lines(rows: Sequence[Row], needed: State) -> list[str]:
    columns: dict[str, Callable[[Row], str]] = {
        "problem": lambda row: row.problem,
        "batch": lambda row: shape_text(row.bucket),
        "activations": lambda row: memory.to_text(row.activations),
        "with all of the above": lambda row: memory.to_text(
            row.activations + needed.total
        ),
    }
    if any(row.measured is not None for row in rows):
        columns["peak of a step"] = lambda row: (
            "" if row.measured is None else memory.to_text(row.measured)
        )
    table = [list(columns), *([f(row) for f in columns.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            f"{cell:<{width}}" if number < 2 else f"{cell:>{width}}"
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]


def shape_text(bucket: Bucket) -> str:
    """Returns a shape of batches as the log has it."""
    return f"{bucket.batch_size} x ({bucket.inputs_length}, {bucket.targets_length})"
