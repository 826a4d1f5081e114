"""t2t-avg-checkpoints: averages checkpoints of a run."""

import os
import sys
from collections.abc import Sequence

from absl import flags, logging

from t2t_mm.bin import flags as common
from t2t_mm.runs import checkpoint_choice, checkpoint_files

USAGE = """
Writes the mean of checkpoints of a run, which often decodes better than each of them:

  t2t-avg-checkpoints --output_dir=run --num_last_checkpoints=8
  t2t-avg-checkpoints --output_dir=run --checkpoints=8000,9000 --output_path=averaged
  t2t-decoder --output_dir=run/average --problem=miniworld_ende --decode_interactive

It is a run folder of its own: t2t-decoder reads it, t2t-trainer goes on from it.
"""

_FOLDER = "average"


def define_flags() -> flags.FlagValues:
    """Returns the flags of the program."""
    values = flags.FlagValues()
    common.define_output_dir(values)
    common.define_usr_dir(values)
    common.define_debug(values)
    common.define_tensorflow_logs(values)
    flags.DEFINE_list(
        "checkpoints",
        [],
        "Which to average, with commas between: steps such as 8000, or paths such as "
        "run/ckpt-8000.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "num_last_checkpoints",
        None,
        "How many of the newest to average, in place of --checkpoints.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_string(
        "output_path",
        None,
        f"Folder to write; '{_FOLDER}' in --output_dir if not given.",
        flag_values=values,
    )
    return values


def main(argv: Sequence[str]) -> None:
    """Parses the command line and averages."""
    values = define_flags()
    common.parse(values, argv, USAGE)
    common.require(values, "output_dir")
    paths = _select(values.output_dir, values.checkpoints, values.num_last_checkpoints)
    common.import_registrations(
        values.t2t_usr_dir, tensorflow_logs=values.tensorflow_logs
    )
    common.import_tensorflow(values)
    from t2t_mm.runs import checkpoint_average  # late: it uses TensorFlow

    for path in paths:
        logging.info("average | %s", path)
    average_dir = values.output_path or os.path.join(values.output_dir, _FOLDER)
    written = checkpoint_average.write(paths, values.output_dir, average_dir)
    sys.stdout.write(f"{written}\n")


def _select(output_dir: str, names: Sequence[str], count: int | None) -> list[str]:
    """Returns the prefixes of the checkpoints that flags name.

    Raises:
      FileNotFoundError: if one does not exist.
      ValueError: unless there is one way to choose them.
    """
    if bool(names) == (count is not None):
        raise ValueError(
            "Either --checkpoints or --num_last_checkpoints must say what to average."
        )
    if count is None:
        paths = [
            checkpoint_files.prefix(output_dir, int(name)) if name.isdecimal() else name
            for name in map(str.strip, names)
        ]
        return [checkpoint_choice.find(output_dir, path) for path in paths]
    found = checkpoint_files.candidates(output_dir)
    if len(found) < count:
        raise ValueError(
            f"--num_last_checkpoints is {count}, and '{output_dir}' has {len(found)} "
            "checkpoints. Ask for fewer, or keep more with t2t-trainer's "
            "--keep_checkpoints."
        )
    return found[:count]


def run() -> None:
    """Entry point of the command."""
    sys.exit(common.run("t2t-avg-checkpoints", main))


if __name__ == "__main__":
    run()
