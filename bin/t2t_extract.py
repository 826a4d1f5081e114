"""t2t-extract: cuts the model of some problems out of a joint one."""

import sys
from collections.abc import Sequence

from absl import flags

from t2t_mm.bin import flags as common

USAGE = """
Cuts the model of some problems out of that of a joint run:

  t2t-extract --output_dir=run --problems=miniworld_ende,miniworld_deen --to=run_text

The new folder is that of a run: t2t-decoder decodes it, and t2t-trainer goes on with it
if it is given the same hparams and these problems. With --weights_only it is about a
third of that and for decoding, or for t2t-trainer --warm_start_from. The body of the
model stays whole; nets that no problem named here uses are left out.
"""


def define_flags() -> flags.FlagValues:
    """Returns the flags of the program."""
    values = flags.FlagValues()
    common.define_problem(values)
    common.define_output_dir(values)
    common.define_usr_dir(values)
    common.define_debug(values)
    common.define_tensorflow_logs(values)
    flags.DEFINE_string(
        "to",
        None,
        "Folder of the new run; there must be none in it.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "weights_only",
        False,
        "Leave out what only training needs; averages of weights become weights.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "checkpoint_path",
        None,
        "Checkpoint to use, such as run/ckpt-1000, or best; the newest if not given.",
        flag_values=values,
    )
    return values


def main(argv: Sequence[str]) -> None:
    """Parses the command line and writes the new run."""
    values = define_flags()
    common.parse(values, argv, USAGE)
    common.require(values, "problem", "output_dir", "to")
    common.import_registrations(
        values.t2t_usr_dir, tensorflow_logs=values.tensorflow_logs
    )
    names = common.select_problems(values.problem)
    common.import_tensorflow(values)
    from t2t_mm.training import extraction  # late: it imports TensorFlow

    before, after = extraction.extract(
        values.output_dir,
        names,
        values.to,
        weights_only=values.weights_only,
        choice=values.checkpoint_path,
    )
    sys.stdout.write(
        f"{values.to}: {', '.join(names)}\n"
        f"parameters  {before.parameters:,} -> {after.parameters:,}\n"
        f"bytes       {before.bytes:,} -> {after.bytes:,}\n"
    )


def run() -> None:
    """Entry point of the command."""
    sys.exit(common.run("t2t-extract", main))


if __name__ == "__main__":
    run()
