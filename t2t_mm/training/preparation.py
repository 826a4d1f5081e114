"""From names to what a run is made of."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from t2t_mm import hparam, model, problem, registry
from t2t_mm.data import mixing, pipeline, vocabulary
from t2t_mm.decoding import decoded_scores
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.evaluation import scores
from t2t_mm.features import Split
from t2t_mm.runs import run_folder
from t2t_mm.training import distribution as distribution_lib
from t2t_mm.training import evaluation, learning_rate, run_start, sources
from t2t_mm.training.parts import Parts
from t2t_mm.training.run_config import RunConfig
from t2t_mm.training.warm_start_config import WarmStartConfig


def prepare(
    *,
    model_name: str,
    hparams_set: str,
    hparams: hparam.HParams,
    problem_names: Sequence[str],
    config: RunConfig,
    data_dir: str,
    output_dir: str | None = None,
    usr_dir: str | None = None,
    change_hparams: Sequence[str] = (),
    warm_start: WarmStartConfig | None = None,
    distribution: distribution_lib.Distribution | None = None,
) -> Parts:
    """Returns what a run is made of.

    Args:
      model_name: registered name.
      hparams_set: name of the set that `hparams` started from.
      hparams: hyperparameters of the model.
      problem_names: registered names.
      config: how to run.
      data_dir: folder of the records.
      output_dir: folder of the run, which is only read; None if it has none.
      usr_dir: the user's registrations, for whoever reads the folder later.
      change_hparams: hparams that may differ from those of the run so far.
      warm_start: what to begin with of another run, or None.
      distribution: where to run; None for one device.

    Raises:
      LookupError: if a name is not registered.
      FileNotFoundError: if records are missing.
      ValueError: if data, folder and arguments do not fit together.
    """
    distribution = distribution or distribution_lib.Distribution()
    _check_replicas(hparams, distribution)
    _check_loop(hparams, config)
    config = distribution_lib.choose_compilation(config)
    registry.import_models()
    tf.config.experimental.enable_op_determinism()
    tf.random.set_seed(config.seed)
    model_cls = registry.MODELS.get(model_name)
    rate = learning_rate.make_schedule(hparams, config.train_steps)
    problems = _make_problems(problem_names, data_dir)
    batches = _make_batches(problems, hparams, data_dir, config.seed)
    description = run_folder.describe(
        model=model_name,
        hparams_set=hparams_set,
        hparams=hparams,
        problems=problems,
        data_dir=data_dir,
        usr_dir=usr_dir,
    )
    if output_dir is not None:
        description = run_start.describe(
            description, output_dir, change_hparams, warm_start
        )
    with distribution.scope():
        net = model_cls(
            hparams, description.problems, seed=config.seed, name=model_name
        )
    return Parts(
        model=net,
        problems=problems,
        batches=batches,
        sources=_make_sources(batches, hparams, distribution),
        schedule=_make_mixing(batches, hparams, config),
        learning_rate=rate,
        rate_factors=_rate_factors(net, hparams),
        evaluator=_make_evaluator(net, problems, config, data_dir, distribution),
        config=config,
        description=description,
        distribution=distribution,
    )


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


def _check_loop(hparams: hparam.HParams, config: RunConfig) -> None:
    """Raises `ValueError` for steps that a loop cannot make in one call."""
    for field in ("batches_per_update", "problems_per_update"):
        number = getattr(hparams, field)
        if config.steps_per_loop > 1 and number > 1:
            raise ValueError(
                f"`steps_per_loop` ({config.steps_per_loop}) needs steps of one batch, "
                f"but `{field}` is {number}. Leave one of them at 1: a step of several "
                "batches gains little from a loop."
            )


def _make_problems(names: Sequence[str], data_dir: str) -> dict[str, problem.Problem]:
    problems = {name: registry.problem(name) for name in names}
    for entry in problems.values():
        vocabulary.choose(entry, data_dir, choice=None)
    return problems


def _make_batches(
    problems: Mapping[str, problem.Problem],
    hparams: hparam.HParams,
    data_dir: str,
    seed: int,
) -> dict[str, pipeline.TrainBatches]:
    return {
        name: pipeline.TrainBatches(
            entry, data_dir, _hparams_of(name, hparams, list(problems)), seed
        )
        for name, entry in problems.items()
    }


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


def _make_sources(
    batches: Mapping[str, pipeline.TrainBatches],
    hparams: hparam.HParams,
    distribution: distribution_lib.Distribution,
) -> dict[str, sources.Source]:
    weights, factors = (
        mixing.by_problem(field, getattr(hparams, field), batches, 1.0)
        for field in ("problem_loss_weights", "problem_learning_rates")
    )
    return {
        name: sources.Source(
            batches=distribution_lib.DealtBatches(of_problem, distribution),
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
            "must be at least 1; got 0. --schedule=train has none."
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


def _make_evaluator(
    net: model.Model,
    problems: Mapping[str, problem.Problem],
    config: RunConfig,
    data_dir: str,
    distribution: distribution_lib.Distribution,
) -> evaluation.Evaluator:
    most = config.eval_steps or None
    of_problems = {
        name: _hparams_of(name, net.hparams, list(problems)) for name in problems
    }

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
            problems,
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
