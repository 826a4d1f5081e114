"""t2t-decoder: turns inputs into outputs with a trained model."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from absl import flags, logging

from t2t_mm import run_folder
from t2t_mm.bin import flags as common
from t2t_mm.decoding import decode_config
from t2t_mm.features import Split

if TYPE_CHECKING:
    from t2t_mm.decoding import decoder as decoder_lib

USAGE = """
Turns inputs of a problem into outputs, with the newest checkpoint of a run:

  t2t-decoder --problem=miniworld_ende --output_dir=run \\
      --decode_from_file=english.txt --decode_to_file=german.txt
  t2t-decoder --problem=miniworld_ende --output_dir=run --decode_interactive
  t2t-decoder --problem=miniworld_ende --output_dir=run --data_dir=data --split=test

A line of input is a text, or the path of an image or of a sound file. Each gives one
line of output, in the same order. A split gives lines of reference, tab, output, and
scores in the log. For a language model a line is the beginning of a text, the output is
what follows, and of a split it gets the first half of each text.
"""

_LINES_AT_A_TIME = 1024  # read, decoded and written together


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
        "decode_from_file",
        None,
        "File with one input per line; '-' for standard input.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "decode_to_file",
        None,
        "File for the outputs; standard output if not given. It appears when whole.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "decode_interactive",
        False,
        "Ask for inputs, one at a time; an empty line ends it.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "split",
        None,
        [Split.EVAL.value, Split.TEST.value, Split.TRAIN.value],
        "Decode a split of the problem's data, from --data_dir.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_batches", 0, "Batches of the split; 0 for all.", flag_values=values
    )
    flags.DEFINE_string(
        "checkpoint_path",
        None,
        "Checkpoint to use: a path such as run/ckpt-1000, the folder of another run, "
        "'best' or 'best:PROBLEM/METRIC' for what --keep_best of t2t-trainer kept; the "
        "newest if not given.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "decode_hparams",
        "",
        "Options of decoding: 'extra_length=50,batch_size=1024'.",
        flag_values=values,
    )
    return values


def main(argv: Sequence[str]) -> None:
    """Parses the command line and decodes."""
    values = define_flags()
    common.parse(values, argv, USAGE)
    common.require(values, "problem", "output_dir")
    _check_flags(values)
    config = decode_config.parse(values.decode_hparams)
    common.import_registrations(
        values.t2t_usr_dir, tensorflow_logs=values.tensorflow_logs
    )
    name = common.select_one_problem(values.problem)
    description = run_folder.read(values.output_dir)
    if values.data_dir:
        run_folder.check_vocabularies(description, values.data_dir)
    common.import_tensorflow(values)
    from t2t_mm.decoding import decoder  # late: it imports TensorFlow

    model_decoder = decoder.Decoder.from_output_dir(
        values.output_dir,
        name,
        config=config,
        checkpoint_path=values.checkpoint_path,
    )
    if values.decode_interactive:
        _decode_interactively(model_decoder)
    elif values.split:
        _write(_decode_split(model_decoder, values), values.decode_to_file)
    else:
        lines = _read_lines(values.decode_from_file)
        _write(_decode_lines(model_decoder, lines), values.decode_to_file)


def _check_flags(values: flags.FlagValues) -> None:
    modes = ("decode_from_file", "decode_interactive", "split")
    given = [f"--{mode}" for mode in modes if values[mode].value]
    if len(given) != 1:
        raise ValueError(
            "One of --decode_from_file, --decode_interactive and --split must say what "
            f"to decode; got {' and '.join(given) or 'none'}."
        )
    if values.split:
        common.require(values, "data_dir")
    if values.max_batches and not values.split:
        raise ValueError("--max_batches has no effect without --split.")
    if values.decode_to_file and values.decode_interactive:
        raise ValueError("--decode_to_file has no effect with --decode_interactive.")


def _read_lines(path: str) -> list[str]:
    if path == "-":
        text = sys.stdin.read()
    else:
        with open(path, encoding="utf-8", newline="\n") as file:
            text = file.read()
    # Only a newline ends a line: text may hold other separators, such as U+2028.
    lines = text.removesuffix("\n").split("\n") if text else []
    if not lines:
        logging.warning("'%s' has no lines, so there is nothing to decode.", path)
    return lines


def _decode_lines(
    decoder: "decoder_lib.Decoder", lines: Sequence[str]
) -> Iterator[str]:
    """Yields one output per line; empty for an input that is empty or unreadable."""
    for start in range(0, len(lines), _LINES_AT_A_TIME):
        chunk = lines[start : start + _LINES_AT_A_TIME]
        inputs: dict[int, Any] = {}
        for number, line in enumerate(chunk):
            if not line.strip():
                continue
            try:
                inputs[number] = decoder.problem.read_input(line)
            except (OSError, ValueError) as error:
                logging.warning("Line %d: %s", start + number + 1, error)
        outputs = dict(zip(inputs, decoder.decode(list(inputs.values())), strict=True))
        for number in range(len(chunk)):
            yield outputs.get(number, "").replace("\n", " ")
        logging.info("decoded %d of %d lines", start + len(chunk), len(lines))


def _decode_split(
    decoder: "decoder_lib.Decoder", values: flags.FlagValues
) -> Iterator[str]:
    from t2t_mm.decoding import decoded_predictions  # late: it imports TensorFlow
    from t2t_mm.evaluation import scores

    problem = decoder.problem
    examples = []
    for example in decoder.decode_split(
        Split(values.split), values.data_dir, values.max_batches or None
    ):
        examples.append(example)
        yield f"{example.reference}\t{example.output}".replace("\n", " ")
    predictions = decoded_predictions.collect(
        examples, several_references=problem.several_references
    )
    for name, score in scores.score(problem.scores, predictions).items():
        logging.info("%s | %s | %s %s", problem.name, values.split, name, score)


def _write(outputs: Iterator[str], path: str | None) -> None:
    if path is None:
        for output in outputs:
            sys.stdout.write(output + "\n")
        return
    partial = f"{path}.partial"
    with open(partial, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(output + "\n" for output in outputs)
    os.replace(partial, path)


def _decode_interactively(decoder: "decoder_lib.Decoder") -> None:
    while True:
        try:
            line = input("> ")
        except EOFError:
            return
        if not line.strip():
            return
        try:
            value = decoder.problem.read_input(line)
        except (OSError, ValueError) as error:
            sys.stdout.write(f"{error}\n")
            continue
        sys.stdout.write(decoder.decode([value])[0] + "\n")


def run() -> None:
    """Entry point of the command."""
    sys.exit(common.run("t2t-decoder", main))


if __name__ == "__main__":
    run()
