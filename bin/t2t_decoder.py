"""t2t-decoder: turns inputs into outputs with a trained model."""

import itertools
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags, logging

from t2t_mm.bin import decoding_flags
from t2t_mm.bin import flags as common
from t2t_mm.decoding import decode_config
from t2t_mm.decoding.output_format import OutputFormat
from t2t_mm.features import Split
from t2t_mm.runs import checkpoint_files, run_folder

if TYPE_CHECKING:
    from t2t_mm.decoding import file_decoding

USAGE = """
Turns inputs of a problem into outputs, with the newest checkpoint of a run:

  t2t-decoder --problem=miniworld_ende --output_dir=run \\
      --decode_from_file=english.txt --decode_to_file=german.txt
  t2t-decoder --problem=miniworld_ende --output_dir=run --decode_interactive
  t2t-decoder --problem=miniworld_ende --output_dir=run --data_dir=data --split=test

A line of input is a text, or the path of an image or of a sound file. Each gives one
line of output, in the same order, whatever is in it; what cannot be read gives an empty
line and a warning. A folder instead of a file stands for the files in it. A split gives
lines of reference, tab, output, and scores in the log. For a language model a line is
the beginning of a text, the output is what follows, and of a split it gets the first
half of each text.

With --decode_to_file, outputs are kept in a file that ends in .partial as they come;
the same command goes on where it was cut short. docs/decoding.md has all of
--decode_hparams.
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
    _define_inputs(values)
    _define_ways(values)
    return values


def _define_inputs(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "decode_from_file",
        None,
        "File with one input per line, or a folder of images or sounds; '-' for "
        "standard input, which is answered line by line as it comes.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "decode_to_file",
        None,
        "File for the outputs; standard output if not given. It appears when whole.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "score_file",
        None,
        "File of lines with an input, a tab and an output; gives the loss of each "
        "output.",
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
        "max_batches",
        0,
        "Batches of the split; 0 for all.",
        lower_bound=0,
        flag_values=values,
    )


def _define_ways(values: flags.FlagValues) -> None:
    """Defines what decodes, how, and what a line looks like."""
    flags.DEFINE_list(
        "checkpoint_path",
        [],
        "Checkpoint to use: a path such as run/ckpt-1000, the folder of another run, "
        "'best' or 'best:PROBLEM/METRIC' for what --keep_best of t2t-trainer kept; the "
        "newest if not given. Several, with commas between, predict with the mean of "
        "their probabilities.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "decode_hparams",
        "",
        "Options of decoding: 'beam_size=4,alpha=0.6,extra_length=50'.",
        flag_values=values,
    )
    flags.DEFINE_enum_class(
        "output_format",
        OutputFormat.TEXT,
        OutputFormat,
        "Lines of text, with tabs between several outputs; or a JSON object per line "
        "with the input, the outputs, their scores and ids.",
        flag_values=values,
    )


def main(argv: Sequence[str]) -> None:
    """Parses the command line and decodes."""
    values = define_flags()
    common.parse(values, argv, USAGE)
    common.require(values, "problem", "output_dir")
    _check_flags(values)
    config = decode_config.parse(values.decode_hparams)
    if config.return_attention and values.output_format != OutputFormat.JSONL:
        raise ValueError("`return_attention` needs --output_format=jsonl.")
    common.import_registrations(
        values.t2t_usr_dir, tensorflow_logs=values.tensorflow_logs
    )
    name = common.select_one_problem(values.problem)
    description = run_folder.read(values.output_dir)
    if values.data_dir:
        run_folder.check_vocabularies(description, values.data_dir)
    common.import_tensorflow(values)
    if values.score_file:
        _score_file(values, name)
    else:
        _decode(values, name, config)


def _decode(
    values: flags.FlagValues, name: str, config: decode_config.DecodeConfig
) -> None:
    # Late: they import TensorFlow.
    from t2t_mm.decoding import decoder, file_decoding, loading

    models, checkpoints = zip(
        *(
            loading.load(values.output_dir, choice)
            for choice in values.checkpoint_path or [None]
        ),
        strict=True,
    )
    job = file_decoding.Job(
        decoder=decoder.Decoder(
            models[0],
            loading.problem_of(models[0], name, values.output_dir),
            config=config,
            vocab_dir=values.output_dir,
            ensemble=models[1:],
            jit_compile=values.jit_compile,
            batches_at_once=values.batches_at_once,
        ),
        checkpoints={path: checkpoint_files.fingerprint(path) for path in checkpoints},
        output_format=values.output_format,
        names_inputs=os.path.isdir(values.decode_from_file or ""),
    )
    if values.decode_interactive:
        _decode_interactively(job)
    elif values.split:
        _decode_split(job, values)
    else:
        _decode_file(job, values)


def _check_flags(values: flags.FlagValues) -> None:
    modes = ("decode_from_file", "decode_interactive", "score_file", "split")
    given = [f"--{mode}" for mode in modes if values[mode].value]
    if len(given) != 1:
        raise ValueError(
            "One of --decode_from_file, --decode_interactive, --score_file and --split "
            f"must say what to do; got {' and '.join(given) or 'none'}."
        )
    if values.split:
        common.require(values, "data_dir")
    if values.max_batches and not values.split:
        raise ValueError("--max_batches has no effect without --split.")
    if values.decode_to_file and values.decode_interactive:
        raise ValueError("--decode_to_file has no effect with --decode_interactive.")
    for name in ("jit_compile", "batches_at_once"):
        if values.score_file and values[name].present:
            raise ValueError(f"--{name} has no effect with --score_file.")
    if values.decode_interactive and values.batches_at_once > 1:
        raise ValueError("--batches_at_once has no effect with --decode_interactive.")
    if values.score_file and (values.decode_hparams or len(values.checkpoint_path) > 1):
        raise ValueError(
            "--score_file reads outputs and searches for none: --decode_hparams has no "
            "effect with it, and one checkpoint scores."
        )


def _decode_file(job: "file_decoding.Job", values: flags.FlagValues) -> None:
    from t2t_mm.decoding import file_decoding, input_lines

    source, target = values.decode_from_file, values.decode_to_file
    if source == "-" and target is None:
        come = input_lines.of_stream(sys.stdin.buffer)
        file_decoding.lines_to_stream(job, come, sys.stdout)
        return
    if source == "-":
        lines = input_lines.of_bytes(sys.stdin.buffer)
    else:
        lines = input_lines.of_file(source)
    if target is None:
        groups = input_lines.in_groups(lines)
        file_decoding.lines_to_stream(job, groups, sys.stdout)
    else:
        file_decoding.lines_to_file(job, lines, target)


def _decode_split(job: "file_decoding.Job", values: flags.FlagValues) -> None:
    from t2t_mm.decoding import decoded_predictions, file_decoding
    from t2t_mm.evaluation import scores

    problem = job.decoder.problem
    what = (Split(values.split), values.data_dir, values.max_batches or None)
    if values.decode_to_file:
        examples = file_decoding.split_to_file(job, *what, values.decode_to_file)
    else:
        examples = file_decoding.split_to_stream(job, *what, sys.stdout)
    predictions = decoded_predictions.collect(
        examples, several_references=problem.several_references
    )
    for name, score in scores.score(problem.scores, predictions).items():
        logging.info("%s | %s | %s %s", problem.name, values.split, name, score)


def _decode_interactively(job: "file_decoding.Job") -> None:
    from t2t_mm.decoding import file_decoding, input_lines

    for number in itertools.count():
        try:
            text = input("> ")
        except EOFError:
            return
        if not text.strip():
            return
        line = input_lines.Line(number, text)
        file_decoding.lines_to_stream(job, [[line]], sys.stdout)


def _score_file(values: flags.FlagValues, name: str) -> None:
    from t2t_mm.decoding import input_lines, loading, output_scorer, score_lines

    choice = next(iter(values.checkpoint_path), None)
    model = loading.load_model(values.output_dir, choice)
    problem = loading.problem_of(model, name, values.output_dir)
    scorer = output_scorer.OutputScorer(model, problem, vocab_dir=values.output_dir)
    scores = itertools.chain.from_iterable(
        score_lines.score(
            scorer,
            problem,
            lines,
            has_inputs=model.has_inputs(name),
            output_format=values.output_format,
        )
        for lines in input_lines.in_groups(input_lines.of_file(values.score_file))
    )
    if values.decode_to_file is None:
        sys.stdout.writelines(score + "\n" for score in scores)
        return
    partial = f"{values.decode_to_file}.partial"
    with open(partial, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(score + "\n" for score in scores)
    os.replace(partial, values.decode_to_file)


def run() -> None:
    """Entry point of the command."""
    sys.exit(common.run("t2t-decoder", main))


if __name__ == "__main__":
    run()
