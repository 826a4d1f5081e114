"""Where evaluations of a run are kept.

    eval/dev/ckpt-1000/mini_ende.json      scores, intervals, metrics and how
    eval/dev/ckpt-1000/mini_ende.tsv       references and outputs, a line each
    eval/dev/ckpt-1000/mini_fashion.png    which classes are taken for which
    eval/dev/table.txt                     the last table
    eval/summaries/dev/                    the numbers for TensorBoard

Options of decoding, `max_batches` and the folder of a checkpoint that is not the run's
own are part of the names, so that one evaluation replaces another only if it is of the
same: eval/dev/ckpt-1000.beam_size=4/, eval/dev/average.ckpt-1000/.
"""

import hashlib
import json
import os
import re
from collections.abc import Sequence

import tensorflow as tf

from t2t_mm import registry, trained_model
from t2t_mm.decoding import output_format
from t2t_mm.evaluation.predictions import Predictions
from t2t_mm.evaluation.results import Results, format_table
from t2t_mm.reporting import confusions

FOLDER = "eval"
_SUMMARIES = "summaries"
_PLAIN = re.compile(r"[\w.=-]{,100}")  # fit for the name of a folder
_DIGEST_LENGTH = 12  # of hexadecimal digits


def write(evaluated: trained_model.Evaluated, eval_dir: str, *, vocab_dir: str) -> str:
    """Writes what an evaluation of one problem found; returns the path of its JSON.

    Args:
      evaluated: the evaluation.
      eval_dir: folder of evaluations, made if need be.
      vocab_dir: folder of the names of classes, that of the run.
    """
    results, predictions = evaluated
    problem = registry.problem(results.problem)
    name = results.checkpoint + _suffix(results)
    folder = os.path.join(eval_dir, results.split, name)
    os.makedirs(folder, exist_ok=True)
    base = os.path.join(folder, results.problem)
    _write_text(f"{base}.json", json.dumps(results.to_json(), indent=2) + "\n")
    _write_text(f"{base}.tsv", "".join(_lines(predictions)))
    confusions.draw_of_problem(problem, predictions, vocab_dir, f"{base}.png")
    _write_summaries(results, eval_dir)
    return f"{base}.json"


def write_table(results: Sequence[Results], eval_dir: str) -> str:
    """Writes the table of evaluations of one split; returns it."""
    table = format_table(results)
    for split in {entry.split for entry in results}:
        _write_text(os.path.join(eval_dir, split, "table.txt"), table + "\n")
    return table


def _suffix(results: Results) -> str:
    """Returns what tells apart evaluations of one checkpoint; a hash if it is long."""
    options = dict(results.decode_options)
    if results.max_batches:
        options["max_batches"] = results.max_batches
    text = "".join(f".{name}={value}" for name, value in sorted(options.items()))
    if _PLAIN.fullmatch(text):
        return text
    return f".{hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]}"


def _lines(predictions: Predictions) -> list[str]:
    """Returns a line per example: references, then the output, with tabs between."""
    return [
        "\t".join(
            output_format.one_line(text).replace("\t", " ")
            for text in [*references, output]
        )
        + "\n"
        for references, output in zip(
            predictions.references, predictions.outputs, strict=True
        )
    ]


def _write_text(path: str, text: str) -> None:
    """Writes a file whole or not at all."""
    with open(f"{path}.partial", "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    os.replace(f"{path}.partial", path)


def _write_summaries(results: Results, eval_dir: str) -> None:
    folder, _, _ = results.checkpoint.rpartition(".")
    name = ".".join(filter(None, [results.split, folder])) + _suffix(results)
    writer = tf.summary.create_file_writer(os.path.join(eval_dir, _SUMMARIES, name))
    with writer.as_default(step=results.step):
        for tag, value in results.scalars().items():
            tf.summary.scalar(f"{results.problem}/{tag}", value)
    writer.close()
