"""Writes training steps and searches as programs for `benchmarks/accelerator.py`.

    python -m benchmarks.accelerator_programs --folder=programs \
        [--cases=tiny_text,base_text] [--steps=3]

A program is what XLA gets of the trainer's own step, or of a greedy search: two files,
`CASE.hlo.gz` and `CASE.json`, which says how to make the arguments from seeds. They
need neither this package nor TensorFlow where they run. Programs that fit are also run
here, a few times (`--steps`), so that the other machine can compare what they give.
"""

import argparse
import dataclasses
import gzip
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import accelerator_arrays, decoding_cases, step_cases, training_step
from t2t_mm import model as model_lib
from t2t_mm import registry
from t2t_mm.decoding import searcher
from t2t_mm.decoding.decode_config import DecodeConfig
from t2t_mm.layers import compilation
from t2t_mm.training import optimizers, updates

_PROBLEM = "measured"
_LEARNING_RATE = 1e-3
_GATE_DEVIATION = 0.1  # of the weights of gates, so that positions choose many experts
_MOST_VALUES = 2**17  # of an argument that is written out
_BFLOAT16 = 'activation_dtype="bfloat16"'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A program.

    Attributes:
      step: what a training step is of; a search takes its model and its inputs.
      hparams: overrides.
      is_search: a greedy search for `target_length` ids in place of a training step.
      is_compared: run here as well, which compiles it here: minutes for large ones.
    """

    step: step_cases.Case
    hparams: str = ""
    is_search: bool = False
    is_compared: bool = False


def _case(hparams_set: str, task: step_cases.Task, **changes: Any) -> Case:
    model = "transformer" if hparams_set.startswith("transformer") else "multimodel"
    step = step_cases.Case(
        model=model, hparams_set=hparams_set, overrides={}, task=task
    )
    return Case(step=step, **changes)


def _words(examples: int, length: int, vocab_size: int) -> step_cases.Task:
    text = dataclasses.replace(step_cases.TEXT, vocab_size=vocab_size)
    return step_cases.Task(
        inputs=text,
        targets=text,
        examples=examples,
        input_length=length,
        target_length=length,
    )


_FEW = _words(16, 32, 8192)
_MANY = _words(64, 128, 32768)
_ROWS = dataclasses.replace(_words(128, 32, 32768), target_length=64)
_IMAGES = step_cases.Task(
    inputs=step_cases.IMAGE_224, targets=step_cases.CLASSES, examples=64
)

CASES = {
    "tiny_text": _case("multimodel_tiny", _FEW, is_compared=True),
    "tiny_search": _case("multimodel_tiny", _ROWS, is_compared=True, is_search=True),
    "base_text_few": _case("multimodel_base", _FEW, hparams=_BFLOAT16),
    "base_text": _case("multimodel_base", _MANY),
    "base_text_bfloat16": _case("multimodel_base", _MANY, hparams=_BFLOAT16),
    "base_images_bfloat16": _case("multimodel_base", _IMAGES, hparams=_BFLOAT16),
    "base_search": _case("multimodel_base", _ROWS, is_search=True),
    "base_search_bfloat16": _case(
        "multimodel_base", _ROWS, hparams=_BFLOAT16, is_search=True
    ),
    "paper_text_bfloat16": _case("multimodel_paper", _MANY, hparams=_BFLOAT16),
    "paper_search_bfloat16": _case(
        "multimodel_paper", _ROWS, hparams=_BFLOAT16, is_search=True
    ),
    "transformer_base_bfloat16": _case("transformer_base", _MANY, hparams=_BFLOAT16),
}


@dataclasses.dataclass(frozen=True)
class Program:
    """A function for XLA and what it is called with.

    Attributes:
      function: compiled when it is called.
      arguments: of it, apart from the variables.
      outputs: names of what it returns, in front of the variables that it changes.
      variables: all that it may read or change.
    """

    function: Any
    arguments: tuple[Any, ...]
    outputs: tuple[str, ...]
    variables: tuple[tf.Variable, ...]


def make_training_step(model: model_lib.Model, task: step_cases.Task) -> Program:
    """Returns the trainer's step of one batch: loss, gradients, clipping, update."""
    optimizer = optimizers.make_optimizer(model.trainable_variables, model.hparams)
    maker = updates.Updates(model, optimizer, None, jit_compile=True)

    @tf.function(jit_compile=True, autograph=False)
    def step(
        features: Mapping[str, tf.Tensor], seed: tf.Tensor, rate: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        output, update = maker._whole_step(
            _PROBLEM, features, tf.constant(1.0), seed, rate
        )
        return {
            "loss": output.loss,
            "gradient_norm": update.gradient_norm,
            "applied": update.applied,
        }

    features = model.prepare(training_step.make_batch(task), _PROBLEM)
    return Program(
        step,
        (features, tf.constant([1, 0]), tf.constant(_LEARNING_RATE)),
        ("applied", "gradient_norm", "loss"),  # dicts come out sorted
        (*model.variables, *optimizer.variables),
    )


def make_search(model: model_lib.Model, task: step_cases.Task) -> Program:
    """Returns a greedy search for ids, encoder included."""
    extra_length = task.target_length - task.input_length
    config = DecodeConfig(
        beam_size=1, extra_length=extra_length, force_decode_length=True
    )
    search = searcher.Searcher([model], _PROBLEM, config=config, constraint=None)

    @tf.function(jit_compile=True, autograph=False)
    def find(features: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        nobody = tf.zeros([task.examples], tf.bool)
        with compilation.tracing_for_xla():
            return {"ids": search(features, nobody).ids[:, 0]}

    features = model.prepare(training_step.make_batch(task), _PROBLEM)
    wanted = {k: v for k, v in features.items() if not k.startswith("targets")}
    return Program(find, (wanted,), ("ids",), tuple(model.variables))


def fill_of(variable: tf.Variable, seed: int) -> dict[str, float]:
    """Returns how to make values like the initial ones of a variable."""
    values = variable.numpy()
    if values.size and (values == values.flat[0]).all():
        if "gate/kernel" in variable.name:
            return {"deviation": _GATE_DEVIATION, "seed": seed}
        return {"value": values.flat[0].item()}
    return {"deviation": float(values.std()), "seed": seed}


def fill_of_argument(values: np.ndarray) -> dict[str, Any]:
    """Returns how to make an argument: by its values, if they are few."""
    if values.size <= _MOST_VALUES:
        return {"values": values.ravel().tolist()}
    if values.dtype == np.float32:
        return {"deviation": float(values.std()), "seed": 0}
    return {"below": int(values.max()) + 1, "seed": 0}


def describe(program: Program) -> tuple[Program, list[dict[str, Any]]]:
    """Fills arguments and variables from seeds.

    Returns:
      The program with its new arguments, and what each of its parameters is.
    """
    leaves, parameters = [], []
    for leaf in tf.nest.flatten(program.arguments):
        fill = fill_of_argument(leaf.numpy())
        shape, dtype = leaf.shape.as_list(), leaf.dtype.name
        leaves.append(tf.constant(accelerator_arrays.make_array(shape, dtype, fill)))
        parameters.append({"shape": shape, "dtype": dtype, "fill": fill})
    arguments = tf.nest.pack_sequence_as(program.arguments, leaves)
    program = dataclasses.replace(program, arguments=arguments)
    concrete = program.function.get_concrete_function(*program.arguments)
    variables = {id(variable.handle): variable for variable in program.variables}
    for seed, handle in enumerate(concrete.captured_inputs, 1):
        variable = variables[id(handle)]
        fill = fill_of(variable, seed)
        shape, dtype = variable.shape.as_list(), variable.dtype.name
        variable.assign(accelerator_arrays.make_array(shape, dtype, fill))
        parameters.append({"shape": shape, "dtype": dtype, "fill": fill})
    return program, parameters


def run(program: Program, steps: int) -> list[dict[str, Any]]:
    """Returns what the program gives here, call by call."""
    given = []
    for _ in range(steps):
        outputs = program.function(*program.arguments)
        given.append({name: outputs[name].numpy().tolist() for name in program.outputs})
    return given


def write(folder: str, name: str, steps: int) -> None:
    """Writes the program of a case."""
    case = CASES[name]
    model = training_step.make_model(case.step, case.hparams)
    make: Callable[..., Program] = make_search if case.is_search else make_training_step
    program = make(model, case.step.task)
    program, parameters = describe(program)
    compiler_ir = program.function.experimental_get_compiler_ir(*program.arguments)
    with gzip.open(os.path.join(folder, f"{name}.hlo.gz"), "wb") as file:
        file.write(compiler_ir(stage="hlo_serialized"))
    task = case.step.task
    facts = {
        "case": name,
        "kind": "search" if case.is_search else "training step",
        "hparams": f"{case.step.hparams_set} {case.hparams}".strip(),
        "examples": task.examples,
        "tokens": task.examples * task.target_length,
        "million_parameters": decoding_cases.million_parameters(model),
        "outputs": program.outputs,
        "parameters": parameters,
        "expected": run(program, steps) if case.is_compared else [],
    }
    with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as file:
        json.dump(facts, file)


def main() -> None:
    """Writes the programs of the cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", required=True, help="for the programs")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--steps", type=int, default=3, help="that are run here")
    arguments = parser.parse_args()
    if unknown := set(arguments.cases.split(",")) - set(CASES):
        parser.error(
            f"--cases must name some of {', '.join(CASES)}; got "
            f"{', '.join(sorted(unknown))}."
        )
    registry.import_registrations()
    registry.import_models()
    os.makedirs(arguments.folder, exist_ok=True)
    with compilation.compiling_elsewhere("GPU"):
        for name in arguments.cases.split(","):
            write(arguments.folder, name, arguments.steps)
            print(name, flush=True)


if __name__ == "__main__":
    main()
