"""Beginning a run with the weights of another.

Variables go by their names, so the runs may have other problems, layers or models.
Tables of ids go by what the ids stand for. What was done with every variable is
printed and kept in the folder of the run, whose first checkpoint has the result.
"""

import fnmatch
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from t2t_mm import averaging, hparam
from t2t_mm import model as model_lib
from t2t_mm.layers import initializers
from t2t_mm.runs import best_checkpoints, checkpoint_choice, run_folder
from t2t_mm.training import (
    optimizers,
    row_mapping,
    run_changes,
    scope_pairs,
    stored_checkpoint,
    warm_start_report,
)
from t2t_mm.training.warm_start_config import REFUSE, RESIZE, WarmStartConfig
from t2t_mm.training.warm_start_report import Action, Row

# What the update divides by: 0 would make the first steps too long.
_SECOND_MOMENTS = frozenset(
    {"second_moments", "moments/second", "moments/rows", "moments/columns"}
)
_MOST_LINES = 20  # of the table in a message

Ids = tuple[row_mapping.RowMapping, int]


class _Plan(NamedTuple):
    """What is to become of a variable.

    Attributes:
      variable: of the new run.
      row: what is printed about it.
      ids: how ids go with the old ones, and their axis; None if it has none.
    """

    variable: tf.Variable
    row: Row
    ids: Ids | None


class WarmStart:
    """The weights of another run, ready to be taken over.

    Attributes:
      stored: the checkpoint.
      first_step: step at which the new run begins.
    """

    def __init__(self, config: WarmStartConfig) -> None:
        """Opens the other run.

        Raises:
          FileNotFoundError: if there is no such run or checkpoint.
          LookupError: if it has registrations that are not loaded.
        """
        self._config = config
        folder, path = _locate(config.path)
        self._old = scope_pairs.Run(run_folder.read(folder), folder)
        self.stored = stored_checkpoint.StoredCheckpoint(path)
        self.first_step = self.stored.step if config.step else 0
        self._plans: list[_Plan] = []

    def plan(self, model: model_lib.Model, new: scope_pairs.Run) -> None:
        """Decides what becomes of every variable, and changes none.

        Args:
          model: the new run's, as it is initialised.
          new: the new run.

        Raises:
          ValueError: if shapes differ and must not, if a pattern matches nothing or
            if nothing would be taken over.
        """
        pairs = scope_pairs.ScopePairs(self._old, new, self._config.renamed)
        self._check_patterns([stored_checkpoint.inner_name(v) for v in model.variables])
        self._plans = [self._plan_one(v, pairs) for v in model.variables]
        refused = [p.row for p in self._plans if p.row.action == Action.MISMATCHED]
        if refused:
            raise ValueError(self._mismatch_message(refused, new.description.hparams))
        if all(plan.row.action == Action.SKIPPED for plan in self._plans):
            raise ValueError(
                f"'{self.stored.path}' must have a variable of the run to begin with; "
                f"it has {', '.join(sorted(self.stored.weights)[:5])}, ...; the run, "
                f"{', '.join(sorted(p.row.name for p in self._plans)[:5])}, ...."
            )

    def _mismatch_message(self, rows: Sequence[Row], new: hparam.HParams) -> str:
        table = warm_start_report.format_rows(rows, _MOST_LINES)
        old = self._old.description.hparams
        others = [
            line
            for line in hparam.differences(old, new)
            if line.partition(":")[0] not in run_changes.CHANGEABLE
        ]
        hint = f"The hparams differ in {'; '.join(others)}. " if others else ""
        return (
            f"The variables must have the shapes of those in '{self.stored.path}'; "
            f"these have others:\n{table}\n{hint}Choose hparams as they are there, "
            "leave variables out with --warm_start_exclude, or say what becomes of "
            "these: --warm_start_mismatch=skip or =resize."
        )

    def _check_patterns(self, names: Sequence[str]) -> None:
        config = self._config
        for pattern in (*config.include, *config.exclude):
            if not fnmatch.filter(names, pattern):
                tops = sorted({name.partition("/")[0] for name in names})
                raise ValueError(
                    "--warm_start_include and --warm_start_exclude must name variables "
                    f"of the run; '{pattern}' matches none. Their names begin with: "
                    f"{', '.join(tops)}."
                )
        for name in config.renamed:
            if not any(f"{other}/".startswith(f"{name}/") for other in names):
                raise ValueError(
                    "--warm_start_rename must read NEW=OLD with whole parts of names "
                    f"of variables of the run for NEW; there is no '{name}'."
                )

    def _plan_one(self, variable: tf.Variable, pairs: scope_pairs.ScopePairs) -> _Plan:
        name = stored_checkpoint.inner_name(variable)
        source = pairs.old_name(name)
        size = variable.shape.num_elements()
        if reason := self._reason_to_skip(name, source):
            row = Row(name, Action.SKIPPED, size, source, reason)
            return _Plan(variable, row, None)
        ids = pairs.ids(name)
        shape = self.stored.shape(self.stored.weights[source])
        action, note = self._judge(tuple(variable.shape), shape, ids)
        return _Plan(variable, Row(name, action, size, source, note), ids)

    def _reason_to_skip(self, name: str, source: str) -> str:
        config = self._config
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in config.include):
            return "not included"
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in config.exclude):
            return "excluded"
        return "" if source in self.stored.weights else "not in the checkpoint"

    def _judge(
        self, new: tuple[int, ...], old: tuple[int, ...], ids: Ids | None
    ) -> tuple[Action, str]:
        """Returns what becomes of a variable of shape `new`, and a word on it."""
        is_remapped = ids is not None and not ids[0].is_identity
        expected = list(old)
        if ids is not None:
            expected[ids[1]] = len(ids[0].sources)
        if tuple(expected) == new:
            if ids is not None and is_remapped:
                return Action.REMAPPED, str(ids[0])
            return Action.LOADED, ""
        note = f"shape {list(old)} there, {list(new)} here"
        if self._config.mismatch == REFUSE:
            return Action.MISMATCHED, note
        if self._config.mismatch == RESIZE and len(old) == len(new):
            return Action.RESIZED, note
        return Action.SKIPPED, note

    def apply(
        self,
        optimizer: optimizers.Optimizer,
        average: averaging.WeightAverage | None,
    ) -> None:
        """Changes the variables as planned, and what is kept about them.

        Args:
          optimizer: of the new run.
          average: of the new run, or None; it starts at the new weights, or goes on
            from the average of the other run if the optimizer does.
        """
        for number, plan in enumerate(self._plans):
            if plan.row.action == Action.SKIPPED:
                continue
            initial = plan.variable.numpy()
            plan.variable.assign(self._value(self._weight_place(plan), initial, plan))
            if average is not None and plan.variable.trainable:
                self._set_average(average, plan, initial)
            if self._config.optimizer and plan.row.action != Action.RESIZED:
                self._load_slots(optimizer.slots(plan.variable), plan)
            elif self._config.optimizer:
                row = plan.row._replace(note=f"{plan.row.note}; optimizer state is new")
                self._plans[number] = plan._replace(row=row)

    def check_optimizer(self, optimizer: optimizers.Optimizer) -> None:
        """Checks, if its state is wanted, that the other run has that of an optimizer.

        Raises:
          ValueError: if not.
        """
        if not self._config.optimizer:
            return
        needed = {s for plan in self._plans for s in optimizer.slots(plan.variable)}
        found = {s for slots in self.stored.slots.values() for s in slots}
        if missing := sorted(needed - found):
            raise ValueError(
                "--warm_start_optimizer needs the state of the same optimizer; "
                f"'{self.stored.path}', trained with "
                f"`optimizer={self._old.description.hparams.optimizer}`, has no "
                f"{', '.join(missing)}. Choose that optimizer or leave the flag out."
            )

    def _weight_place(self, plan: _Plan) -> str:
        """Returns where the weight to begin with is: its average, if there is one.

        With the state of the optimizer, training goes on from the weights themselves.
        """
        place = self.stored.weights[plan.row.source]
        if self._config.optimizer:
            return place
        return self.stored.averages.get(initializers.key_of(plan.row.source), place)

    def _set_average(
        self, average: averaging.WeightAverage, plan: _Plan, initial: np.ndarray
    ) -> None:
        own = average.averages[initializers.key(plan.variable)]
        place = self.stored.averages.get(initializers.key_of(plan.row.source))
        if self._config.optimizer and place is not None:
            own.assign(self._value(place, initial, plan))
        else:
            own.assign(plan.variable)

    def _value(self, place: str, initial: np.ndarray, plan: _Plan) -> np.ndarray:
        """Returns what becomes of `initial`: as much as there is of the old value."""
        old, axis = self.stored.read(place), plan.ids and plan.ids[1]
        common = tuple(
            slice(None if a == axis else min(sizes))
            for a, sizes in enumerate(zip(old.shape, initial.shape, strict=True))
        )
        values, result = old[common], initial.copy()
        if plan.ids is not None:
            values = plan.ids[0].apply(values, initial[common], plan.ids[1])
        result[common] = values
        return result

    def _load_slots(self, slots: Mapping[str, tf.Variable], plan: _Plan) -> None:
        places = self.stored.slots.get(initializers.key_of(plan.row.source), {})
        for name, slot in slots.items():
            if name not in places:  # it was not trained there
                continue
            value = self.stored.read(places[name])
            axis = _slot_axis(name, plan)
            if plan.ids is not None and axis is not None:
                by_mean = name in _SECOND_MOMENTS
                value = plan.ids[0].apply_to_slot(value, axis, by_mean=by_mean)
            slot.assign(value)

    def report(self) -> warm_start_report.Report:
        """Returns what was done with every variable."""
        rows = [plan.row for plan in self._plans]
        sources = {row.source for row in rows}
        sizes = {
            name: int(np.prod(self.stored.shape(place)))
            for name, place in self.stored.weights.items()
        }
        rows += [
            Row(name, Action.LEFT_BEHIND, sizes[name])
            for name in sorted(self.stored.weights.keys() - sources)
        ]
        return warm_start_report.Report(
            path=self.stored.path,
            stored_step=self.stored.step,
            first_step=self.first_step,
            config=self._config,
            are_averages=bool(self.stored.averages) and not self._config.optimizer,
            rows=rows,
        )


def _slot_axis(slot: str, plan: _Plan) -> int | None:
    """Returns the axis of ids in a slot; None if it has none."""
    if plan.ids is None or slot == "updates":
        return None
    axis, rank = plan.ids[1], plan.variable.shape.rank
    if slot == "moments/rows":  # means over the last axis
        return axis if axis < rank - 1 else None
    if slot == "moments/columns":  # means over the last axis but one
        return None if axis == rank - 2 else min(axis, rank - 2)
    return axis


def _locate(path: str) -> tuple[str, str]:
    """Returns the folder of a run and the prefix of a checkpoint in it."""
    prefix = path.removesuffix(".index")
    folder = path if os.path.isdir(path) else os.path.dirname(prefix) or "."
    run = best_checkpoints.run_of(folder)
    needed = os.path.join(run, run_folder.CONFIG_FILE)
    if not os.path.isdir(path) and not os.path.exists(f"{prefix}.index"):
        needed = path
    if not os.path.exists(needed):
        raise FileNotFoundError(
            "--warm_start_from must be the folder of a run, or a checkpoint in it such "
            f"as run/ckpt-1000; there is no '{needed}'."
        )
    return run, checkpoint_choice.newest(path) if os.path.isdir(path) else prefix
