"""A trained model to use from Python: `t2t_mm.load("run")`."""

import os
import re
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf

from t2t_mm import config_fields, registry
from t2t_mm import model as model_lib
from t2t_mm import problem as problem_lib
from t2t_mm.data import pipeline, vocabulary
from t2t_mm.decoding import decoded_predictions, loading, output_scorer
from t2t_mm.decoding import decoder as decoder_lib
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.decoding.hypothesis import Hypothesis
from t2t_mm.evaluation import scores
from t2t_mm.evaluation.bootstrap import Bootstrap
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.evaluation.results import Results
from t2t_mm.features import Split
from t2t_mm.runs import run_folder
from t2t_mm.training import evaluation, teacher_forced

T = TypeVar("T")

_STEP = re.compile(r".*-(\d+)")


class Evaluated(NamedTuple):
    """An evaluation of a problem with the outputs that it is of.

    Attributes:
      results: what it found.
      predictions: outputs beside references.
    """

    results: Results
    predictions: Predictions


class TrainedModel:
    """The model of a run with the variables of one checkpoint.

    Nothing changes it, so several threads may use one; calls that need the same graph
    for the first time wait for each other.

    Attributes:
      output_dir: folder of the run.
      checkpoint: path prefix of the checkpoint.
    """

    def __init__(
        self,
        model: model_lib.Model,
        output_dir: str,
        checkpoint: str,
        *,
        jit_compile: bool | None = None,
        batches_at_once: int = 0,
    ) -> None:
        """Wraps a model with restored variables; `load` is the usual way.

        Args:
          model: the model.
          output_dir: folder of its run, with the vocabularies.
          checkpoint: path prefix of the checkpoint.
          jit_compile: search with XLA; None for shapes of batches that come up often.
          batches_at_once: how many batches are decoded at the same time; 0 for as many
            as the machine is good for.

        Raises:
          ValueError: if `batches_at_once` is below 0.
        """
        if batches_at_once < 0:
            raise ValueError(
                f"`batches_at_once` must be at least 0; got {batches_at_once}."
            )
        self._batches_at_once = batches_at_once
        self._jit_compile = jit_compile
        self.output_dir = output_dir
        self.checkpoint = checkpoint
        self._model = model
        self._lock = threading.Lock()
        self._parts: dict[Hashable, Any] = {}

    @property
    def problems(self) -> list[str]:
        """Names of the problems that the model was trained on."""
        return sorted(self._model.problems)

    @property
    def step(self) -> int:
        """Step of the checkpoint; 0 if its name has none."""
        match = _STEP.fullmatch(self.checkpoint)
        return int(match[1]) if match else 0

    @property
    def checkpoint_name(self) -> str:
        """Name of the checkpoint, with its folder if that is not the run's own.

        An average has the step of a checkpoint of the run: "average.ckpt-1000".
        """
        folder, name = os.path.split(os.path.abspath(self.checkpoint))
        if folder == os.path.abspath(self.output_dir):
            return name
        return f"{os.path.basename(folder)}.{name}"

    def _problem(self, name: str) -> problem_lib.Problem:
        return loading.problem_of(self._model, name, self.output_dir)

    def _cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """Returns a part of the model that is made once: its graph takes seconds."""
        with self._lock:
            if key not in self._parts:
                self._parts[key] = make()
            return self._parts[key]

    def _decoder(
        self, problem: problem_lib.Problem, config: DecodeConfig
    ) -> decoder_lib.Decoder:
        return self._cached(
            ("decoder", problem.name, config),
            lambda: decoder_lib.Decoder(
                self._model,
                problem,
                config=config,
                vocab_dir=self.output_dir,
                jit_compile=self._jit_compile,
                batches_at_once=self._batches_at_once,
            ),
        )

    def _scorer(self, problem: problem_lib.Problem) -> output_scorer.OutputScorer:
        return self._cached(
            ("scorer", problem.name),
            lambda: output_scorer.OutputScorer(
                self._model, problem, vocab_dir=self.output_dir
            ),
        )

    def _evaluator(
        self, problem: problem_lib.Problem, data_dir: str, max_batches: int | None
    ) -> evaluation.Evaluator:
        vocabulary.choose_as_trained(problem, self._model.problems[problem.name])
        hparams = self._model.hparams

        def make_batches(name: str, split: Split) -> tf.data.Dataset:
            return pipeline.eval_dataset(problem, split, data_dir, hparams, max_batches)

        return self._cached(
            ("evaluator", problem.name, data_dir, max_batches),
            lambda: evaluation.Evaluator(
                self._model, {problem.name: problem.metrics}, make_batches
            ),
        )

    def decode(self, problem: str, inputs: Iterable[Any], **options: Any) -> list[str]:
        """Returns the model's output for each input, in their order.

        Args:
          problem: one of `problems`.
          inputs: texts; or images as uint8 `[height, width, channels]` of any size;
            or sounds as floats `[samples]` between -1 and 1 at the problem's
            `sample_rate`. An image or a sound may also be the path of a file. Of a
            language model, beginnings of texts.
          **options: fields of `DecodeConfig`, such as `extra_length=20`.

        Raises:
          LookupError: if the model does not know the problem.
          OSError: if a file cannot be read.
          ValueError: for an option that does not exist, or an input of another kind.
        """
        decoder = self._decoder(self._problem(problem), _config(options))
        return decoder.decode(_raw_inputs(decoder.problem, inputs))

    def search(
        self, problem: str, inputs: Iterable[Any], **options: Any
    ) -> list[list[Hypothesis]]:
        """Returns all outputs of each input with ids and scores, the best first.

        Args:
          problem: one of `problems`.
          inputs: as of `decode`.
          **options: fields of `DecodeConfig`; `beam_size=4, return_beams=True` and
            `sampling_method="random", num_decodes=4` give several outputs.

        Raises:
          LookupError: if the model does not know the problem.
          OSError: if a file cannot be read.
          ValueError: for an option that does not exist, or an input of another kind.
        """
        decoder = self._decoder(self._problem(problem), _config(options))
        raw = _raw_inputs(decoder.problem, inputs)
        found = dict(decoder.search(raw))
        return [found[position] for position in range(len(raw))]

    def score(
        self, problem: str, inputs: Iterable[Any], outputs: Iterable[str]
    ) -> list[output_scorer.OutputScore]:
        """Returns how likely the model holds each output for its input.

        Args:
          problem: one of `problems`, whose targets are texts or classes.
          inputs: as of `decode`.
          outputs: as many texts, or names of classes.

        Raises:
          LookupError: if the model does not know the problem.
          OSError: if a file cannot be read.
          ValueError: if there are not as many outputs as inputs, for an output that is
            no class, or if the problem's targets are no ids.
        """
        entry = self._problem(problem)
        raw = _raw_inputs(entry, inputs)
        return self._scorer(entry).score(raw, _listed("outputs", outputs))

    def evaluate(
        self,
        problem: str,
        data_dir: str,
        split: Split | str = Split.EVAL,
        *,
        max_batches: int | None = None,
        bootstrap: Bootstrap | None = Bootstrap(),  # noqa: B008 - it is frozen
        **options: Any,
    ) -> Results:
        """Decodes a split and returns its scores, and metrics that see true targets.

        Args:
          problem: one of `problems`.
          data_dir: folder of the records.
          split: which part of the data.
          max_batches: how much of it; None for all.
          bootstrap: how to compute intervals of the scores; None for none.
          **options: fields of `DecodeConfig`.

        Raises:
          LookupError: if the model does not know the problem.
          FileNotFoundError: if the split has not been generated.
          ValueError: if the data was made with another vocabulary.
        """
        return self.evaluate_with_outputs(
            problem,
            data_dir,
            split,
            max_batches=max_batches,
            bootstrap=bootstrap,
            **options,
        ).results

    def evaluate_with_outputs(
        self,
        problem: str,
        data_dir: str,
        split: Split | str = Split.EVAL,
        *,
        max_batches: int | None = None,
        bootstrap: Bootstrap | None = None,
        **options: Any,
    ) -> Evaluated:
        """Does what `evaluate` does, and returns the decoded outputs too."""
        entry, config = self._problem(problem), _config(options)
        run_folder.check_vocabularies(run_folder.read(self.output_dir), data_dir)
        split = Split(split)
        metrics = self._evaluator(entry, data_dir, max_batches).evaluate_problem(
            entry.name, split
        )
        decoder = self._decoder(
            entry, decoded_predictions.scoring_config(entry, config)
        )
        predictions = decoded_predictions.of_split(
            decoder, split, data_dir, max_batches
        )
        results = Results(
            problem=entry.name,
            split=split,
            checkpoint=self.checkpoint_name,
            step=self.step,
            decode_options=config.changes(),
            max_batches=max_batches,
            scores=scores.score(entry.scores, predictions, bootstrap),
            metrics=teacher_forced.rename(
                metrics, autoregressive=self._model.is_autoregressive(entry.name)
            ),
        )
        return Evaluated(results, predictions)


def _config(options: Mapping[str, Any]) -> DecodeConfig:
    return DecodeConfig(**config_fields.check_names(options, DecodeConfig))


def _raw_inputs(problem: problem_lib.Problem, inputs: Iterable[Any]) -> list[Any]:
    """Returns what a problem encodes: a path of an image or a sound is read."""
    return [
        problem.read_input(os.fspath(value))
        if isinstance(value, str | os.PathLike)
        else value
        for value in _listed("inputs", inputs)
    ]


def _listed(name: str, values: Iterable[Any]) -> list[Any]:
    if isinstance(values, str | bytes):
        raise ValueError(
            f"`{name}` must be a list; got {values!r}. Put it in brackets."
        )
    return list(values)


def load(
    output_dir: str | os.PathLike[str],
    *,
    checkpoint_path: str | None = None,
    usr_dir: str | None = None,
    jit_compile: bool | None = None,
    batches_at_once: int = 0,
) -> TrainedModel:
    """Returns the model of a run; see `t2t_mm.load`."""
    folder = os.fspath(output_dir)
    registry.import_registrations(usr_dir)
    run_folder.read(folder)  # so that a folder without a run says so first
    model, checkpoint = loading.load(folder, checkpoint_path)
    return TrainedModel(
        model,
        folder,
        checkpoint,
        jit_compile=jit_compile,
        batches_at_once=batches_at_once,
    )
