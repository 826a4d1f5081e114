"""t2t-bleu: BLEU of files, as Tensor2Tensor's command computed it."""

import os
import sys
from collections.abc import Sequence

from absl import flags, logging

from t2t_mm.bin import flags as common
from t2t_mm.evaluation import t2t_bleu
from t2t_mm.runs import step_files

USAGE = """
Computes BLEU as Tensor2Tensor's t2t-bleu did, from 0 to 100:

  t2t-bleu --translation=german.txt --reference=reference.txt
  t2t-bleu --translations_dir=translations --reference=reference.txt --event_dir=bleu

A folder is that of t2t-translate-all, with files called NAME-STEP. Give files as people
read them, not split into tokens. For figures to publish use t2t-eval or sacrebleu; they
split texts in another way.
"""

_VARIANTS = ("uncased", "cased")
_LAST_STEP_FILE = "last_evaluated_step.txt"


def define_flags() -> flags.FlagValues:
    """Returns the flags of the program."""
    values = flags.FlagValues()
    common.define_debug(values)
    common.define_tensorflow_logs(values)
    texts = {
        "reference": "File of true translations, one per line.",
        "translation": "File of translations to score, one per line.",
        "translations_dir": "Folder of such files, called NAME-STEP.",
        "event_dir": "Folder for TensorBoard; it also keeps which step was the last.",
    }
    for name, text in texts.items():
        flags.DEFINE_string(name, None, text, flag_values=values)
    flags.DEFINE_enum(
        "bleu_variant",
        "both",
        [*_VARIANTS, "both"],
        "Whether capitals count.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "tag_suffix", "", "Ends the names in TensorBoard.", flag_values=values
    )
    flags.DEFINE_integer(
        "min_steps",
        -1,
        "Files of earlier steps are left out; -1 to go on after the last step that "
        "--event_dir has, if any.",
        lower_bound=-1,
        flag_values=values,
    )
    common.define_wait_minutes(values, "file")
    return values


def main(argv: Sequence[str]) -> None:
    """Parses the command line and prints BLEU."""
    values = define_flags()
    common.parse(values, argv, USAGE)
    common.require(values, "reference")
    if bool(values.translation) == bool(values.translations_dir):
        raise ValueError("Give one of --translation and --translations_dir.")
    for flag in ("reference", "translation"):
        path = values[flag].value
        if path and not os.path.isfile(path):
            raise FileNotFoundError(
                f"--{flag} must be a file of one text per line; there is no '{path}'."
            )
    if values.translation:
        _check_no_folder_flags(values)
        for name, score in _scores(values, values.translation).items():
            sys.stdout.write(f"{name} = {score:6.2f}\n")
        return
    _score_folder(values)


def _check_no_folder_flags(values: flags.FlagValues) -> None:
    for name in ("event_dir", "tag_suffix", "min_steps", "wait_minutes"):
        if values[name].present:
            raise ValueError(f"--{name} has no effect without --translations_dir.")


def _scores(values: flags.FlagValues, path: str) -> dict[str, float]:
    """Returns BLEU in percent by name: "BLEU_uncased"."""
    references, outputs = _read_lines(values.reference), _read_lines(path)
    if len(references) != len(outputs):
        raise ValueError(
            f"'{path}' must have as many lines as '{values.reference}', "
            f"{len(references)}; it has {len(outputs)}."
        )
    return {
        f"BLEU_{variant}": 100
        * t2t_bleu.bleu_of_texts(references, outputs, cased=variant == "cased")
        for variant in _VARIANTS
        if values.bleu_variant in (variant, "both")
    }


def _read_lines(path: str) -> list[str]:
    with open(path, encoding="utf-8", newline="\n") as file:
        return file.read().removesuffix("\n").split("\n")


def _score_folder(values: flags.FlagValues) -> None:
    if not os.path.isdir(values.translations_dir):
        raise FileNotFoundError(
            "--translations_dir must be a folder of files called NAME-STEP; there is "
            f"no '{values.translations_dir}'."
        )
    if values.event_dir:
        common.make_folder("event_dir", values.event_dir)
    first_step, count = _first_step(values), 0
    for file in step_files.watch(
        lambda: step_files.list_files(values.translations_dir),
        min_step=first_step,
        wait_seconds=60 * values.wait_minutes,
    ):
        count += 1
        scores = _scores(values, file.path)
        figures = "  ".join(f"{name} = {score:6.2f}" for name, score in scores.items())
        sys.stdout.write(f"{file.path}  {figures}\n")
        sys.stdout.flush()
        if values.event_dir:
            _write_events(values, file.step, scores)
    if not count:
        logging.warning(
            "'%s' has no file NAME-STEP of step %d or later.",
            values.translations_dir,
            first_step,
        )


def _first_step(values: flags.FlagValues) -> int:
    if values.min_steps >= 0:
        return values.min_steps
    path = os.path.join(values.event_dir or "", _LAST_STEP_FILE)
    if not values.event_dir or not os.path.exists(path):
        return 0
    with open(path, encoding="utf-8") as file:
        last = int(file.read())
    logging.info("bleu | going on after step %d, by '%s'", last, path)
    return last + 1


def _write_events(
    values: flags.FlagValues, step: int, scores: dict[str, float]
) -> None:
    common.import_tensorflow(values)
    import tensorflow as tf  # late: scoring one file needs none

    writer = tf.summary.create_file_writer(values.event_dir)
    with writer.as_default(step=step):
        for name, score in scores.items():
            tf.summary.scalar(name + values.tag_suffix, score)
    writer.close()
    with open(
        os.path.join(values.event_dir, _LAST_STEP_FILE), "w", encoding="utf-8"
    ) as file:
        file.write(f"{step}\n")


def run() -> None:
    """Entry point of the command."""
    sys.exit(common.run("t2t-bleu", main))


if __name__ == "__main__":
    run()
