"""Evaluating a model on a split of each of its problems."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from t2t_mm import model as model_lib
from t2t_mm.features import Split
from t2t_mm.layers import compilation, moe
from t2t_mm.training import distribution as distribution_lib
from t2t_mm.training import expert_summary, metrics

EXPERT_LOAD, GATE_ENTROPY = "expert_load", "gate_entropy"
LOSS = "loss"
_EXPERTS = "experts"
_NUMBER_WIDTH = 6  # of a loss below 10


class Evaluator:
    """Computes the metrics of all problems; each step is compiled once per shape."""

    def __init__(
        self,
        model: model_lib.Model,
        metric_names: Mapping[str, tuple[str, ...]],
        make_batches: Callable[[str, Split], Iterable[Mapping[str, tf.Tensor]]],
        distribution: distribution_lib.Distribution | None = None,
        *,
        jit_compile: bool = False,
        decoded: Callable[[str, Split], Mapping[str, float]] | None = None,
        decoded_names: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """Creates an evaluator.

        Args:
          model: the model.
          metric_names: names of metrics by problem.
          make_batches: returns the batches of a problem and a split, in order, as
            `Distribution.batches` does.
          distribution: of the model; None for one device.
          jit_compile: compile the step with XLA.
          decoded: returns scores of decoded outputs of a problem and a split, by name;
            the chief calls it for all workers. None to decode nothing.
          decoded_names: the names of these scores by problem.

        Raises:
          LookupError: for a metric that does not exist.
        """
        self._model = model
        self._metrics = {
            problem: metrics.select(names, model.target_modality(problem))
            for problem, names in metric_names.items()
        }
        self._make_batches = make_batches
        self._distribution = distribution or distribution_lib.Distribution()
        self._jit_compile = jit_compile
        self._decoded = decoded
        self._decoded_names = decoded_names or {}
        self._steps: dict[Hashable, Callable[..., dict[str, Any]]] = {}

    @property
    def metric_names(self) -> dict[str, list[str]]:
        """Names of the metrics of every problem, as in results."""
        return {
            problem: [*names, LOSS, *self._decoded_names.get(problem, ())]
            for problem, names in self._metrics.items()
        }

    def _step(self, problem: str) -> Callable[..., dict[str, Any]]:
        key = (self._model.graph_key(problem), tuple(self._metrics[problem]))
        if key not in self._steps:
            self._steps[key] = self._make_step(problem)
        return self._steps[key]

    def _make_step(self, problem: str) -> Callable[..., dict[str, Any]]:
        """Returns the compiled evaluation of a problem, or of one like it."""
        distribution = self._distribution
        has_static_shapes = self._jit_compile or distribution.compiles

        def sums(features: Mapping[str, tf.Tensor]) -> dict[str, Any]:
            with compilation.tracing_for_xla(has_static_shapes):
                output = self._model(features, problem=problem)
            targets, lengths = features["targets"], features["targets_length"]
            mask = tf.sequence_mask(lengths, tf.shape(targets)[1])
            terms = {
                name: metric(output.outputs, targets, mask)
                for name, metric in self._metrics[problem].items()
            }
            return terms | {LOSS: output.loss, _EXPERTS: output.experts}

        compiled = sums
        if self._jit_compile:
            compiled = tf.function(sums, jit_compile=True, autograph=False)

        def step(features: Mapping[str, Any]) -> dict[str, Any]:
            of_replicas = distribution.run(
                lambda own: distribution.add_up(compiled(own)), features
            )
            return distribution.first(of_replicas)

        if has_static_shapes:
            return tf.function(step, autograph=False)
        signature = distribution.signature(self._model.signature(problem))
        return tf.function(step, input_signature=[signature], autograph=False)

    def evaluate(self, split: Split) -> dict[str, dict[str, Any]]:
        """Returns metrics by problem.

        Each has a float per metric and per score of decoded outputs, and dicts by name
        of the layer: under "expert_load" the share of positions that went to each
        expert, under "gate_entropy" the mean entropy of the gate's distribution, in
        nats.
        """
        results = {}
        for problem in self._metrics:
            results[problem] = self.evaluate_problem(problem, split)
            results[problem] |= self._decode(problem, split)
            scores = " ".join(
                f"{name} {value:.4f}" for name, value in scalars(results[problem])
            )
            logging.info("%5s | %s | %s", split, problem, scores)
        _log_experts(split, results)
        return results

    def _decode(self, problem: str, split: Split) -> dict[str, float]:
        """Returns the scores of decoded outputs, the same on all workers."""
        names = self._decoded_names.get(problem, ())
        if self._decoded is None or not names:
            return {}
        scores = dict.fromkeys(names, 0.0)
        if self._distribution.is_chief:
            scores |= self._decoded(problem, split)
        values = self._distribution.of_chief([scores[name] for name in names])
        return dict(zip(names, values, strict=True))

    def evaluate_problem(self, problem: str, split: Split) -> dict[str, Any]:
        """Returns the metrics of one problem; nothing is decoded or logged."""
        step = self._step(problem)
        sums: Any = None
        for features in self._make_batches(problem, split):
            output = step(self._model.prepare(features, problem))
            batch = tf.nest.map_structure(
                lambda x: x.numpy().astype(np.float64), output
            )
            sums = batch if sums is None else tf.nest.map_structure(np.add, sums, batch)
        experts: dict[str, moe.ExpertStats] = sums.pop(_EXPERTS)
        results: dict[str, Any] = {
            name: float(terms.total / max(terms.weight, 1.0))
            for name, terms in sums.items()
        }
        for name, stats in experts.items():
            shares = stats.load / max(stats.load.sum(), 1.0)
            results.setdefault(EXPERT_LOAD, {})[name] = shares.tolist()
            entropy = float(stats.entropy / max(stats.positions, 1.0))
            results.setdefault(GATE_ENTROPY, {})[name] = entropy
        return results


def scalars(row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Returns names and values of a row of results, without those by layer."""
    return [(name, value) for name, value in row.items() if not isinstance(value, dict)]


def _log_experts(split: Split, results: Mapping[str, Mapping[str, Any]]) -> None:
    layers = dict.fromkeys(
        n for row in results.values() for n in row.get(EXPERT_LOAD, {})
    )
    for layer in layers:
        rows = {
            p: row for p, row in results.items() if layer in row.get(EXPERT_LOAD, {})
        }
        line = expert_summary.describe(
            {problem: row[EXPERT_LOAD][layer] for problem, row in rows.items()},
            {problem: row[GATE_ENTROPY][layer] for problem, row in rows.items()},
        )
        logging.info("%5s | %s | %s", split, layer, line)


def format_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the metrics as a table: a line per problem, a column per metric."""
    columns = sorted({name for row in results.values() for name, _ in scalars(row)})
    width = max(len("problem"), *(len(name) for name in results))
    widths = {column: max(len(column), _NUMBER_WIDTH) for column in columns}
    header = [f"{'problem':<{width}}", *(f"{c:>{widths[c]}}" for c in columns)]
    lines = ["  ".join(header)]
    for name, row in results.items():
        cells = [
            f"{row[column]:>{widths[column]}.4f}"
            if column in row
            else " " * widths[column]
            for column in columns
        ]
        lines.append("  ".join([f"{name:<{width}}", *cells]))
    return "\n".join(lines)
