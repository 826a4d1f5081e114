"""Runs as small as they can be, written without training."""

import dataclasses
import pathlib

import numpy as np

import tiny_models
from t2t_mm import averaging, registry
from t2t_mm.data import text_encoder
from t2t_mm.decoding import decoder, loading
from t2t_mm.features import FeatureSpec, SpaceId
from t2t_mm.runs import run_folder
from t2t_mm.training import checkpoint, optimizers, retention

LONG_AGO = "it was the best of times, it was the worst of times " * 5
FAR_AWAY = "it was the far side of a star, it was the last of times " * 5


def small_hparams(**changes):
    """Returns a transformer with all that warm starts must cope with."""
    sizes = {"shared_embedding_and_softmax_weights": False, "num_hidden_layers": 1}
    return tiny_models.make_hparams("transformer_tiny", **{**sizes, **changes})


def text(vocabulary="bytes", vocab_size=258):
    return FeatureSpec(
        modality="symbol",
        vocab_size=vocab_size,
        vocabulary=vocabulary,
        space_id=SpaceId.EN_TOK,
    )


def classes(vocabulary, vocab_size):
    return FeatureSpec(
        modality="class_label", vocab_size=vocab_size, vocabulary=vocabulary, shape=(1,)
    )


def subwords(folder, name, sample, size=280):
    """Builds a vocabulary; returns its feature and encoder."""
    pathlib.Path(folder).mkdir(exist_ok=True)
    path = pathlib.Path(folder, f"vocab.{name}.{size}.subwords")
    path.write_bytes(text_encoder.build_subwords([sample], size))
    encoder = text_encoder.load_subword_encoder(str(path))
    return text(path.name, encoder.vocab_size), encoder


def describe(problems, hparams, **fields):
    vocabularies = {
        spec.vocabulary: "0" * 64
        for features in problems.values()
        for spec in features.values()
        if spec.vocabulary and spec.vocabulary.endswith(".subwords")
    }
    fields = {"model": "transformer", "hparams_set": "transformer_tiny", **fields}
    return run_folder.RunDescription(
        hparams=hparams,
        problems=problems,
        **{"vocabularies": vocabularies, **fields},
    )


@dataclasses.dataclass
class Run:
    """What a run is made of, every number of which is another."""

    description: run_folder.RunDescription
    model: object
    optimizer: optimizers.Optimizer
    average: averaging.WeightAverage | None

    def variables(self):
        return {v.name.partition("/")[2].removesuffix(":0"): v for v in self.all}

    @property
    def all(self):
        return self.model.variables

    def values(self):
        return {name: v.numpy() for name, v in self.variables().items()}

    def slots(self, name):
        return self.optimizer.slots(self.variables()[name])


def make(description, seed=0):
    """Returns a run as it is initialised."""
    hparams = description.hparams
    model = registry.MODELS.get(description.model)(
        hparams, description.problems, seed=seed, name=description.model
    )
    average = None
    if hparams.ema_decay:
        average = averaging.WeightAverage(model.trainable_variables, hparams.ema_decay)
    optimizer = optimizers.make_optimizer(model.trainable_variables, hparams)
    return Run(description, model, optimizer, average)


def perturb(run, seed=3):
    """Gives every number of a run another value; counts of updates become 7."""
    random = np.random.default_rng(seed)
    for variable in run.all:
        variable.assign_add(random.normal(size=variable.shape).astype(np.float32))
        if run.average is not None:
            key = variable.name.removesuffix(":0").replace("/", ".")
            run.average.averages[key].assign(variable + 100.0)
        for name, slot in run.optimizer.slots(variable).items():
            if name == "updates":
                slot.assign(7)
            else:
                slot.assign(random.uniform(1.0, 2.0, slot.shape).astype(np.float32))
    return run


def write(run, folder, step=40):
    """Writes config and a checkpoint of a run; vocabularies are not copied."""
    folder = pathlib.Path(folder)
    bare = dataclasses.replace(run.description, vocabularies={})
    run_folder.write(bare, str(folder), str(folder))
    state = checkpoint.RunState(run.description.problems)
    state.step = step
    checkpoint.Checkpoints(
        run.model,
        run.optimizer,
        state,
        str(folder),
        keep=retention.Retention(newest=1),
        average=run.average,
    ).save()
    return str(folder)


def make_decoder(output_dir, problem_name, config, **execution):
    """Returns a decoder with the newest checkpoint of a run."""
    model = loading.load_model(output_dir)
    problem = loading.problem_of(model, problem_name, output_dir)
    return decoder.Decoder(
        model, problem, config=config, vocab_dir=output_dir, **execution
    )
