"""Updates of tiny models on several parts of the CPU, and batches dealt out to them."""

import numpy as np
import tensorflow as tf

import tiny_models
from t2t_mm import averaging
from t2t_mm import model as model_lib
from t2t_mm.training import optimizers, step_values, strategies, updates

CALM = dict(dropout=0.0, attention_dropout=0.0, relu_dropout=0.0)


def make_distribution(num_replicas):
    """Returns replicas on parts of the CPU, see conftest.py."""
    strategy = "mirrored" if num_replicas > 1 else "one"
    return strategies.make_distribution(strategy, num_replicas)


class Run:
    """A model with all that updates it, on some number of replicas."""

    def __init__(
        self,
        num_replicas,
        problems,
        hparams_set="transformer_tiny",
        *,
        jit_compile=False,
        **changes,
    ):
        self.distribution = make_distribution(num_replicas)
        with self.distribution.scope():
            self.model = tiny_models.make_model(
                hparams_set,
                {name: tiny_models.PROBLEMS[name] for name in problems},
                **changes,
            )
            variables, hparams = self.model.trainable_variables, self.model.hparams
            self.optimizer = optimizers.make_optimizer(variables, hparams)
            self.average = averaging.WeightAverage(variables, 0.9)
        self.updates = updates.Updates(
            self.model,
            self.optimizer,
            self.average,
            self.distribution,
            jit_compile=jit_compile,
        )

    def deal_out(self, problem, batch):
        """Returns a batch as the trainer gets it from the pipeline."""
        signature = self.model.signature(problem)
        del signature[model_lib.SPACE_ID]

        def make(shards):
            def parts():
                rows = np.arange(len(batch["targets"]))
                for shard in shards.own:
                    yield _take(batch, shards.rows_of(shard, rows))

            return tf.data.Dataset.from_generator(parts, output_signature=signature)

        dealt_out = next(iter(self.distribution.batches(make)))
        return self.model.prepare(dealt_out, problem)

    def draw(self, problem, *batches):
        """Returns a draw of whole batches; its loss counts 0.7."""
        return step_values.Draw(
            problem, [self.deal_out(problem, batch) for batch in batches], 0.7
        )

    def step(self, *draws, rate=0.002, step=0):
        """Makes an update; returns all numbers that it gave."""
        outputs, update = self.updates.step(draws, rate, (1, step))
        ends = [update.gradient_norm, *update.module_norms, update.applied]
        return np.array([[float(x) for x in (*output, *ends)] for output in outputs])

    def variables(self):
        """Returns weights, slots and averages."""
        modules = (self.model, self.optimizer, self.average)
        return [variable for module in modules for variable in module.variables]

    def values(self):
        """Returns the numbers of all variables on every replica, by name."""
        return [
            [
                local.numpy()
                for local in self.distribution.strategy.experimental_local_results(v)
            ]
            for v in self.variables()
        ]


def _take(batch, rows):
    """Returns rows of a batch; those below 0 are fillers."""
    is_real = rows >= 0
    return {
        name: np.where(
            is_real.reshape([-1] + [1] * (values.ndim - 1)), values.numpy()[rows], 0
        ).astype(values.dtype.as_numpy_dtype)
        for name, values in batch.items()
    }
