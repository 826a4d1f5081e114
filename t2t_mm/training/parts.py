"""What a run is made of."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import tensorflow as tf

from t2t_mm import averaging, model, problem
from t2t_mm.data import mixing, pipeline
from t2t_mm.runs import run_folder
from t2t_mm.training import distribution as distribution_lib
from t2t_mm.training import evaluation, optimizers
from t2t_mm.training import sources as sources_lib
from t2t_mm.training.run_config import RunConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Parts:
    """What a run is made of; nothing of it has started or touched a folder.

    Attributes:
      model: with initial values.
      problems: by name.
      batches: training batches by problem.
      sources: the same with their weights.
      schedule: draws the problems of each step.
      learning_rate: as a function of the step.
      rate_factors: of the learning rate, by name of the variable.
      evaluator: of the same model and problems.
      config: how to run, with `jit_compile` decided.
      description: what a folder of the run says about itself.
      distribution: where it runs.
    """

    model: model.Model
    problems: Mapping[str, problem.Problem]
    batches: Mapping[str, pipeline.TrainBatches]
    sources: Mapping[str, sources_lib.Source]
    schedule: mixing.MixingSchedule
    learning_rate: Callable[[int], float]
    rate_factors: Mapping[str, float]
    evaluator: evaluation.Evaluator
    config: RunConfig
    description: run_folder.RunDescription
    distribution: distribution_lib.Distribution

    @property
    def trained(self) -> list[tf.Variable]:
        """The variables that are to be trained."""
        variables = self.model.trainable_variables
        return [v for v in variables if self.rate_factors[v.name] > 0.0]

    @functools.cached_property
    def optimizer(self) -> optimizers.Optimizer:
        """Made for the variables that are to be trained."""
        hparams = self.model.hparams
        with self.distribution.scope():
            return optimizers.make_optimizer(self.trained, hparams, self.rate_factors)

    @functools.cached_property
    def average(self) -> averaging.WeightAverage | None:
        """Moving average of the weights, or None."""
        decay = self.model.hparams.ema_decay
        if not decay:
            return None
        with self.distribution.scope():
            return averaging.WeightAverage(self.model.trainable_variables, decay)
