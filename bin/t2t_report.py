"""t2t-report: makes a folder to look at from a run."""

import os
import sys
from collections.abc import Sequence

from absl import flags

from t2t_mm.bin import flags as common
from t2t_mm.features import Split
from t2t_mm.runs import run_folder

USAGE = """
Shows what a run learned and what its model says, in a folder that needs no server:

  t2t-report --output_dir=run --data_dir=data
  t2t-report --output_dir=run --data_dir=data --report_dir=report --samples=20

Open index.html in it: metrics, learning curves, the load of the experts, and decoded
samples of every problem with their inputs.
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
    flags.DEFINE_string(
        "report_dir",
        None,
        "Folder of the report; 'report' in --output_dir if not given.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "samples", 8, "Samples per problem.", lower_bound=0, flag_values=values
    )
    flags.DEFINE_enum(
        "split",
        Split.EVAL.value,
        [Split.EVAL.value, Split.TEST.value, Split.TRAIN.value],
        "Where the samples come from.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_batches",
        4,
        "Batches per problem that are decoded and scored; 0 for the whole split.",
        lower_bound=0,
        flag_values=values,
    )
    return values


def main(argv: Sequence[str]) -> None:
    """Parses the command line and writes the report."""
    values = define_flags()
    common.parse(values, argv, USAGE)
    common.require(values, "output_dir", "data_dir")
    common.import_registrations(
        values.t2t_usr_dir, tensorflow_logs=values.tensorflow_logs
    )
    description = run_folder.read(values.output_dir)
    run_folder.check_vocabularies(description, values.data_dir)
    names = common.select_problems_of_run(description, values.problem)
    common.import_tensorflow(values)
    common.silence_retracing_advice()
    from t2t_mm.reporting import report, samples  # late: it imports TensorFlow

    path = report.write(
        output_dir=values.output_dir,
        data_dir=values.data_dir,
        report_dir=values.report_dir or os.path.join(values.output_dir, "report"),
        problem_names=names,
        selection=samples.Selection(
            split=Split(values.split),
            count=values.samples,
            max_batches=values.max_batches or None,
        ),
    )
    sys.stdout.write(path + "\n")


def run() -> None:
    """Entry point of the command."""
    sys.exit(common.run("t2t-report", main))


if __name__ == "__main__":
    run()
