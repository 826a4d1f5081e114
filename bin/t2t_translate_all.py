"""t2t-translate-all: decodes a file with every checkpoint of a run."""

import os
import sys
from collections.abc import Sequence

from absl import flags, logging

from t2t_mm.bin import flags as common
from t2t_mm.bin import t2t_decoder
from t2t_mm.runs import checkpoint_choice, run_folder, step_files

USAGE = """
Decodes a file with every checkpoint of a run, into files called PROBLEM-STEP:

  t2t-translate-all --output_dir=run --problem=mini_ende --source=english.txt \\
      --translations_dir=translations --decode_hparams=extra_length=20
  t2t-bleu --translations_dir=translations --reference=german.txt

Files that are there already are left alone, so the same command goes on where it
stopped, and beside a training that is still running.
"""

_INDEX = ".index"  # the last file of a checkpoint to be deleted


def define_flags() -> flags.FlagValues:
    """Returns the flags of the program."""
    values = flags.FlagValues()
    common.define_problem(values)
    common.define_output_dir(values)
    flags.DEFINE_alias("model_dir", "output_dir", flag_values=values)
    common.define_usr_dir(values)
    common.define_debug(values)
    common.define_tensorflow_logs(values)
    flags.DEFINE_string(
        "source", None, "File with one input per line.", flag_values=values
    )
    flags.DEFINE_string(
        "translations_dir",
        "translations",
        "Folder of the outputs.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "decode_hparams",
        "",
        "Options of decoding, as of t2t-decoder.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "min_steps",
        0,
        "Checkpoints of earlier steps are left out.",
        lower_bound=0,
        flag_values=values,
    )
    common.define_wait_minutes(values, "checkpoint")
    return values


def main(argv: Sequence[str]) -> None:
    """Parses the command line and decodes."""
    values = define_flags()
    common.parse(values, argv, USAGE)
    common.require(values, "problem", "output_dir", "source")
    if not os.path.isfile(values.source):
        raise FileNotFoundError(
            f"--source must be a file with one input per line; there is no "
            f"'{values.source}'."
        )
    common.import_registrations(
        values.t2t_usr_dir, tensorflow_logs=values.tensorflow_logs
    )
    name = common.select_one_problem(values.problem)
    run_folder.read(values.output_dir)
    common.make_folder("translations_dir", values.translations_dir)
    count, damaged = 0, []
    for checkpoint in step_files.watch(
        lambda: step_files.list_checkpoints(values.output_dir),
        min_step=values.min_steps,
        wait_seconds=60 * values.wait_minutes,
    ):
        count += 1
        try:
            _translate(values, name, checkpoint)
        except OSError as error:
            if not os.path.exists(checkpoint.path + _INDEX):  # some files, or all
                logging.warning(
                    "Checkpoint '%s' was deleted before it could be decoded with.",
                    checkpoint.path,
                )
            elif isinstance(error, checkpoint_choice.DamagedError):
                logging.warning("%s It is left out.", error)
                damaged.append(checkpoint.path)
            else:
                raise
    if not count:
        logging.warning(
            "'%s' has no checkpoint of step %d or later.",
            values.output_dir,
            values.min_steps,
        )
    if damaged:
        raise checkpoint_choice.DamagedError(
            "All checkpoints that are whole have been decoded with. "
            f"{len(damaged)} of {count} are damaged: {', '.join(damaged)}."
        )


def _translate(
    values: flags.FlagValues, name: str, checkpoint: step_files.StepFile
) -> None:
    path = os.path.join(values.translations_dir, f"{name}-{checkpoint.step}")
    if os.path.exists(path):
        logging.info("translate | step %d | '%s' is there", checkpoint.step, path)
        return
    written = os.stat(checkpoint.path + _INDEX).st_mtime
    arguments = {
        "problem": name,
        "output_dir": values.output_dir,
        "checkpoint_path": checkpoint.path,
        "decode_from_file": values.source,
        "decode_to_file": path,
        "decode_hparams": values.decode_hparams,
        "t2t_usr_dir": values.t2t_usr_dir or "",
        "tensorflow_logs": values.tensorflow_logs,
    }
    t2t_decoder.main(
        ["t2t-decoder", *(f"--{flag}={value}" for flag, value in arguments.items())]
    )
    os.utime(path, (written, written))  # for curves over time
    logging.info("translate | step %d | %s", checkpoint.step, path)


def run() -> None:
    """Entry point of the command."""
    sys.exit(common.run("t2t-translate-all", main))


if __name__ == "__main__":
    run()
