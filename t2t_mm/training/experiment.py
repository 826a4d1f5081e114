"""From names to a trainer."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from t2t_mm import (
    averaging,
    best_checkpoints,
    checkpoint_files,
    hparam,
    model,
    problem,
    registry,
    run_folder,
)
from t2t_mm.data import mixing, pipeline, vocabulary
from t2t_mm.decoding import decoded_scores
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.evaluation import scores
from t2t_mm.features import Split
from t2t_mm.training import distribution as distribution_lib
from t2t_mm.training import evaluation, learning_rate, optimizers, trainer
from t2t_mm.training.run_config import RunConfig

MOST_PROGRAMS = 64  # training steps compiled, before a warning


def build(
    *,
    model_name: str,
    hparams_set: str,
    hparams: hparam.HParams,
    problem_names: Sequence[str],
    config: RunConfig,
    data_dir: str,
    output_dir: str,
    usr_dir: str | None = None,
    distribution: distribution_lib.Distribution | None = None,
) -> trainer.Trainer:
    """Returns a trainer that starts a run in `output_dir`, or goes on with it.

    Whatever can be found wrong with the arguments, the data or the folder is found
    here, before the first step.

    Args:
      model_name: registered name.
      hparams_set: name of the set that `hparams` started from.
      hparams: hyperparameters of the model.
      problem_names: registered names.
      config: how to run.
      data_dir: folder of the records.
      output_dir: folder of the run.
      usr_dir: the user's registrations, for whoever reads the folder later.
      distribution: where to run; None for one device.

    Raises:
      LookupError: if a name is not registered.
      FileNotFoundError: if records are missing.
      ValueError: if data, folder and arguments do not fit together.
      OSError: if `output_dir` cannot be written.
    """
    registry.import_models()
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(config.seed)
    distribution = distribution or distribution_lib.Distribution()
    config = _choose_compilation(config, distribution)
    model_cls = registry.MODELS.get(model_name)
    problems = {name: registry.problem(name) for name in problem_names}
    for entry in problems.values():
        vocabulary.choose(entry, data_dir, choice=None)
    rate = learning_rate.make_schedule(hparams, config.train_steps)
    of_problems = {
        name: _hparams_of(name, hparams, problem_names) for name in problem_names
    }
    batches = {
        name: pipeline.TrainBatches(entry, data_dir, of_problems[name], config.seed)
        for name, entry in problems.items()
    }
    sources = _make_sources(batches, hparams, distribution)
    schedule = _make_mixing(batches, hparams, config)
    description = run_folder.describe(
        model=model_name,
        hparams_set=hparams_set,
        hparams=hparams,
        problems=problems,
        data_dir=data_dir,
        usr_dir=usr_dir,
    )
    _check_replicas(hparams, distribution)
    with distribution.scope():
        net = model_cls(
            hparams, description.problems, seed=config.seed, name=model_name
        )
        factors = _rate_factors(net, hparams)
        trained = [v for v in net.trainable_variables if factors[v.name] > 0.0]
        optimizer = optimizers.make_optimizer(trained, hparams, factors)
        average = None
        if hparams.ema_decay:
            average = averaging.WeightAverage(
                net.trainable_variables, hparams.ema_decay
            )
    _claim_folder(description, output_dir, data_dir, writes=distribution.is_chief)
    _log_summary(net, batches, schedule)
    _log_programs(net, batches, has_shapes=bool(config.jit_compile))
    return trainer.Trainer(
        net,
        optimizer,
        sources,
        schedule,
        rate,
        _make_evaluator(net, problems, of_problems, config, data_dir, distribution),
        config=config,
        output_dir=output_dir,
        describe=lambda folder: run_folder.write(description, folder, data_dir),
        average=average,
        distribution=distribution,
    )


def _choose_compilation(
    config: RunConfig, distribution: distribution_lib.Distribution
) -> RunConfig:
    """Decides whether to compile with XLA, if the user does not."""
    if config.jit_compile is not None:
        return config
    jit_compile = bool(tf.config.list_logical_devices("GPU"))
    logging.info(
        "jit_compile | %s, chosen by the device", "on" if jit_compile else "off"
    )
    return dataclasses.replace(config, jit_compile=jit_compile)


def _check_replicas(
    hparams: hparam.HParams, distribution: distribution_lib.Distribution
) -> None:
    """Raises `ValueError` for hparams that several replicas cannot keep equal."""
    if distribution.num_replicas > 1 and getattr(hparams, "moe_balance", "") == "bias":
        raise ValueError(
            "`moe_balance` 'bias' moves with the experts' load on one device; there "
            f"are {distribution.num_replicas}. Choose 'cv' or 'switch', or "
            "--strategy=one."
        )


def _hparams_of(
    name: str, hparams: hparam.HParams, problem_names: Sequence[str]
) -> hparam.HParams:
    """Returns the hparams with the size of batches that one problem has."""
    size = mixing.by_problem(
        "problem_batch_sizes", hparams.problem_batch_sizes, problem_names, math.inf
    )[name]
    if math.isinf(size):  # none of its own
        return hparams
    number: Any = int(size) if size.is_integer() else size  # else the hparams refuse
    return dataclasses.replace(hparams, batch_size=number, batch_examples=number)


class _SpreadBatches:
    """Training batches of one problem, dealt out to the replicas."""

    def __init__(
        self,
        batches: pipeline.TrainBatches,
        distribution: distribution_lib.Distribution,
    ) -> None:
        self._batches = batches
        self._distribution = distribution

    def dataset(self, start: int) -> distribution_lib.Dataset:
        """Returns batches from number `start` on, for ever."""
        return self._distribution.batches(
            lambda shards: self._batches.dataset(start, shards)
        )


def _make_sources(
    batches: Mapping[str, pipeline.TrainBatches],
    hparams: hparam.HParams,
    distribution: distribution_lib.Distribution,
) -> dict[str, trainer.Source]:
    weights, factors = (
        mixing.by_problem(field, getattr(hparams, field), batches, 1.0)
        for field in ("problem_loss_weights", "problem_learning_rates")
    )
    return {
        name: trainer.Source(
            batches=_SpreadBatches(of_problem, distribution),
            loss_weight=weights[name],
            rate_factor=factors[name],
        )
        for name, of_problem in batches.items()
    }


def _make_mixing(
    batches: Mapping[str, pipeline.TrainBatches],
    hparams: hparam.HParams,
    config: RunConfig,
) -> mixing.MixingSchedule:
    mixed = mixing.parse_mixing(
        hparams.mixing, {name: b.num_examples for name, b in batches.items()}
    )
    if mixed.is_adaptive and not config.eval_every_steps:
        raise ValueError(
            f"The mixing '{hparams.mixing}' reads evaluations, so `eval_every_steps` "
            "must be at least 1; got 0."
        )
    return mixing.MixingSchedule(
        mixed, config.seed, problems_per_update=hparams.problems_per_update
    )


def _rate_factors(net: model.Model, hparams: hparam.HParams) -> dict[str, float]:
    """Returns the factor of the learning rate of every variable by its name."""
    names = [variable.name for variable in net.trainable_variables]
    factors = learning_rate.variable_factors(hparams.learning_rate_factors, names)
    if not any(factors.values()):
        raise ValueError(
            "`learning_rate_factors` must leave a variable to train; "
            f"'{hparams.learning_rate_factors}' is 0 for all."
        )
    return factors


def _claim_folder(
    description: run_folder.RunDescription,
    output_dir: str,
    data_dir: str,
    *,
    writes: bool,
) -> None:
    """Describes the run in its folder, unless checkpoints there are of another run."""
    if not checkpoint_files.are_in(output_dir):
        if best_checkpoints.read_all(output_dir):
            raise ValueError(
                f"'{output_dir}/{best_checkpoints.FOLDER}' has the best checkpoints of "
                "an earlier run, whose other ones are gone. Move it away, or choose "
                "another --output_dir."
            )
        if writes:
            run_folder.write(description, output_dir, data_dir)
    elif run_folder.exists(output_dir):
        run_folder.check_same(run_folder.read(output_dir), description, output_dir)
    else:
        raise ValueError(
            f"'{output_dir}' holds checkpoints but no {run_folder.CONFIG_FILE}: they "
            "are of another program. Choose another --output_dir."
        )


def _make_evaluator(
    net: model.Model,
    problems: Mapping[str, problem.Problem],
    of_problems: Mapping[str, hparam.HParams],
    config: RunConfig,
    data_dir: str,
    distribution: distribution_lib.Distribution,
) -> evaluation.Evaluator:
    most = config.eval_steps or None

    def make_batches(name: str, split: Split) -> distribution_lib.Dataset:
        return distribution.batches(
            lambda shards: pipeline.eval_dataset(
                problems[name], split, data_dir, of_problems[name], most, shards
            )
        )

    decoded = None
    if config.eval_decode:
        decoded = decoded_scores.DecodedScores(
            net,
            data_dir=data_dir,
            max_batches=config.eval_decode,
            config=DecodeConfig(),
        ).evaluate
    return evaluation.Evaluator(
        net,
        {name: entry.metrics for name, entry in problems.items()},
        make_batches,
        distribution,
        jit_compile=bool(config.jit_compile),
        decoded=decoded,
        decoded_names={
            name: [scores.DECODED + score for score in entry.scores]
            for name, entry in problems.items()
            if decoded is not None
        },
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


def _log_programs(
    net: model.Model,
    batches: Mapping[str, pipeline.TrainBatches],
    *,
    has_shapes: bool,
) -> None:
    """Says how many programs training compiles, and warns of too many.

    Args:
      net: the model; some of its problems share their graphs.
      batches: by problem.
      has_shapes: whether each shape of batches is a program of its own.
    """
    graphs = {name: net.graph_key(name) for name in batches}
    programs = {
        (graphs[name], shape if has_shapes else None)
        for name, entry in batches.items()
        for shape in entry.shapes()
    }
    logging.info(
        "programs | %d for %d problems%s, each compiled when it is first met",
        len(programs),
        len(batches),
        " and the shapes of their batches" if has_shapes else "",
    )
    if len(programs) > MOST_PROGRAMS:
        logging.warning(
            "%d programs take long to compile and much memory. Fewer: lower "
            "`max_buckets` (%d), or train without --jit_compile, which needs one for "
            "each kind of problem.",
            len(programs),
            net.hparams.max_buckets,
        )
