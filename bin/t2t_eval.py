"""t2t-eval: decodes a split and scores it as the field does."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags, logging

from t2t_mm import registry
from t2t_mm.bin import decoding_flags
from t2t_mm.bin import flags as common
from t2t_mm.data import records
from t2t_mm.decoding import decode_config
from t2t_mm.evaluation.bootstrap import Bootstrap
from t2t_mm.features import Split
from t2t_mm.runs import run_folder

USAGE = """
Decodes a split of all problems of a run, or of some, and scores the outputs:

  t2t-eval --output_dir=run --data_dir=data
  t2t-eval --output_dir=run --data_dir=data --problem=mini_ende --split=test \\
      --checkpoint_path=run/ckpt-1000 --decode_hparams=extra_length=20

Prints a table. Scores of outputs are called decoded_...; metrics that see the true
target before each position are called teacher_forced_...: they say how well the model
predicts one word, not how well it translates. Everything is kept in --eval_dir.
"""


def define_flags() -> flags.FlagValues:
    """Returns the flags of the program."""
    values = flags.FlagValues()
    common.define_problem(values)
    common.define_data_dir(values)
    common.define_output_dir(values)
    common.define_usr_dir(values)
    common.define_debug(values)
    common.define_tensorflow_logs(values)
    decoding_flags.define_execution(values)
    flags.DEFINE_enum(
        "split",
        Split.EVAL.value,
        [Split.EVAL.value, Split.TEST.value, Split.TRAIN.value],
        "Which part of the data.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "checkpoint_path",
        None,
        "Checkpoint to use, such as run/ckpt-1000, or 'best'; the newest if not given.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "decode_hparams",
        "",
        "Options of decoding: 'extra_length=50,batch_size=1024'.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "eval_dir",
        None,
        "Folder of the results; 'eval' in --output_dir if not given.",
        flag_values=values,
    )
    _define_amounts(values)
    return values


def _define_amounts(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "max_batches",
        0,
        "Batches of each problem; 0 for the whole split.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "bootstrap_resamples",
        Bootstrap().resamples,
        "How often the examples are drawn again, to say how sure a score is; 0 for no "
        "intervals.",
        lower_bound=0,
        flag_values=values,
    )


def main(argv: Sequence[str]) -> None:
    """Parses the command line and evaluates."""
    values = define_flags()
    common.parse(values, argv, USAGE)
    common.require(values, "output_dir", "data_dir")
    options = decode_config.parse(values.decode_hparams).changes()
    common.import_registrations(
        values.t2t_usr_dir, tensorflow_logs=values.tensorflow_logs
    )
    description = run_folder.read(values.output_dir)
    run_folder.check_vocabularies(description, values.data_dir)
    names = common.select_problems_of_run(description, values.problem)
    for name in names:  # all of them, before the first is decoded
        problem = registry.problem(name)
        records.RecordReader(problem.dataset_name, Split(values.split), values.data_dir)
    common.import_tensorflow(values)
    common.silence_retracing_advice()
    sys.stdout.write(_evaluate(values, names, options) + "\n")


def _evaluate(
    values: flags.FlagValues, names: Sequence[str], options: Mapping[str, Any]
) -> str:
    """Evaluates problems, keeps what is found, and returns a table of it."""
    from t2t_mm import trained_model  # late: it imports TensorFlow
    from t2t_mm.reporting import evaluation_folder

    model = trained_model.load(
        values.output_dir,
        checkpoint_path=values.checkpoint_path,
        jit_compile=values.jit_compile,
        batches_at_once=values.batches_at_once,
    )
    folder = values.eval_dir or os.path.join(
        values.output_dir, evaluation_folder.FOLDER
    )
    resamples = values.bootstrap_resamples
    found = []
    for name in names:
        evaluated = model.evaluate_with_outputs(
            name,
            values.data_dir,
            values.split,
            max_batches=values.max_batches or None,
            bootstrap=Bootstrap(resamples=resamples) if resamples else None,
            **options,
        )
        path = evaluation_folder.write(evaluated, folder, vocab_dir=values.output_dir)
        logging.info("eval | %s | %s", name, path)
        found.append(evaluated.results)
    return evaluation_folder.write_table(found, folder)


def run() -> None:
    """Entry point of the command."""
    sys.exit(common.run("t2t-eval", main))


if __name__ == "__main__":
    run()
