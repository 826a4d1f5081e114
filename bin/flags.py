"""Flags that several programs share, and how every program starts.

Each call of a program parses into a `FlagValues` of its own, so programs can be
imported and called side by side. A program defines only the flags that it uses.
"""

import contextlib
import importlib
import io
import logging as standard_logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import flags, logging

from t2t_mm import problem as problems
from t2t_mm import registry
from t2t_mm.runs import run_folder

USER_ERROR = 2  # exit status
_USER_ERRORS = (ValueError, LookupError, OSError, FloatingPointError, flags.Error)
# Lines that are not as TensorFlow's C++ begins its own.
_OF_OTHERS = re.compile(
    rb"(?!WARNING: All log mess|[IWE]\d{4} |To enable the following)"
)
_BUGS = (KeyError, IndexError)  # LookupErrors whose messages teach a user nothing


def define_problem(values: flags.FlagValues) -> None:
    """Defines --problem and its other spelling, --problems."""
    flags.DEFINE_list(
        "problem",
        [],
        "Names of problems with commas between; 'wmt*' stands for all names that begin "
        "so.",
        flag_values=values,
    )
    flags.DEFINE_alias("problems", "problem", flag_values=values)


def define_data_dir(values: flags.FlagValues) -> None:
    """Defines --data_dir."""
    flags.DEFINE_string(
        "data_dir",
        None,
        "Folder of records, their manifests and vocabularies.",
        flag_values=values,
    )


def define_tmp_dir(values: flags.FlagValues) -> None:
    """Defines --tmp_dir."""
    flags.DEFINE_string(
        "tmp_dir",
        None,
        "Folder for downloads; a folder 't2t_datagen' among the system's temporary "
        "files if not given.",
        flag_values=values,
    )


def define_usr_dir(values: flags.FlagValues) -> None:
    """Defines --t2t_usr_dir."""
    flags.DEFINE_string(
        "t2t_usr_dir",
        None,
        "Folder with an __init__.py that imports modules of your own; they may "
        "register problems, modalities, models and hparams sets.",
        flag_values=values,
    )


def define_corpus_path(values: flags.FlagValues) -> None:
    """Defines --corpus_path."""
    flags.DEFINE_multi_string(
        "corpus_path",
        [],
        "Where you keep a corpus, as NAME=PATH; NAME is that of the corpus or of one "
        "problem. May be given several times.",
        flag_values=values,
    )


def define_output_dir(values: flags.FlagValues) -> None:
    """Defines --output_dir."""
    flags.DEFINE_string(
        "output_dir",
        None,
        "Folder of the run: config, checkpoints, vocabularies and summaries.",
        flag_values=values,
    )


def define_wait_minutes(values: flags.FlagValues, awaited: str) -> None:
    """Defines --wait_minutes for something that is still being made."""
    flags.DEFINE_float(
        "wait_minutes",
        0.0,
        f"Stop when no new {awaited} has come for so many minutes; 0 not to wait.",
        lower_bound=0.0,
        flag_values=values,
    )


def define_tensorflow_logs(values: flags.FlagValues) -> None:
    """Defines --tensorflow_logs."""
    flags.DEFINE_bool(
        "tensorflow_logs",
        False,
        "Show what TensorFlow itself has to say when it starts.",
        flag_values=values,
    )


def import_tensorflow(
    values: flags.FlagValues, start: Callable[[], Any] | None = None
) -> Any:
    """Imports TensorFlow, without its start-up lines unless --tensorflow_logs.

    Args:
      values: the flags of the program.
      start: what to do before anything else with TensorFlow.

    Returns:
      What `start` returned.
    """
    # Whoever waits for other machines wants to know.
    shown = values.tensorflow_logs or "TF_CONFIG" in os.environ
    with _tensorflow_logs(shown=shown):
        tensorflow = importlib.import_module("tensorflow")
        started = start() if start else None
        tensorflow.config.list_logical_devices()
    return started


def silence_retracing_advice() -> None:
    """Silences TensorFlow where every problem has a graph of its own.

    It takes many graphs of one function for a slip.
    """
    import tensorflow as tf  # late: not before `import_tensorflow`

    tf.get_logger().setLevel(standard_logging.ERROR)


def import_registrations(usr_dir: str | None, *, tensorflow_logs: bool = False) -> None:
    """Imports what registers names; modalities of a user import TensorFlow with them.

    Args:
      usr_dir: the user's folder, or None.
      tensorflow_logs: show what TensorFlow itself has to say when it starts.

    Raises:
      FileNotFoundError: if `usr_dir` is not a folder with an `__init__.py`.
    """
    with _tensorflow_logs(shown=tensorflow_logs):
        registry.import_registrations(usr_dir)


@contextlib.contextmanager
def _tensorflow_logs(*, shown: bool) -> Iterator[None]:
    """Shows or leaves out what TensorFlow writes while it starts.

    Some of its lines go to the descriptor of stderr before any log level is read, so
    the descriptor itself is held back. If an error comes up, all of it is shown;
    otherwise what others wrote, such as a module of the user.
    """
    if shown:
        yield
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    is_shown = re.compile(b"")  # everything, unless all goes well
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
            is_shown = _OF_OTHERS
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held_back.seek(0)
            os.write(2, b"".join(filter(is_shown.match, held_back)))


def define_debug(values: flags.FlagValues) -> None:
    """Defines --debug."""
    flags.DEFINE_bool(
        "debug",
        False,
        "Show where in the program an error came up.",
        flag_values=values,
    )


def parse_corpus_paths(items: Sequence[str]) -> dict[str, str]:
    """Returns the paths of corpora by name.

    Raises:
      ValueError: for an item that is not NAME=PATH, or a NAME given twice.
    """
    paths: dict[str, str] = {}
    for item in items:
        name, equals, path = item.partition("=")
        if not (name and equals and path):
            raise ValueError(f"--corpus_path must read NAME=PATH; got '{item}'.")
        if name in paths:
            raise ValueError(f"--corpus_path is given twice for '{name}'.")
        paths[name] = path
    known = _corpus_names()
    for name in paths:
        if name not in known:
            names = ", ".join(sorted(known)) or "no corpora"
            raise ValueError(
                f"No problem reads a corpus '{name}'; --corpus_path knows {names}."
            )
    return paths


def _corpus_names() -> set[str]:
    """Returns the names of corpora, and of the problems that are made from one."""
    names = set()
    for problem_name in registry.PROBLEMS.names():
        corpus = registry.PROBLEMS.get(problem_name).corpus
        if corpus is not None:
            names |= {problem_name, corpus.name}
    return names


def select_problems(patterns: Sequence[str]) -> list[str]:
    """Returns the registered names that a --problem stands for, each once.

    Raises:
      LookupError: for a name or a pattern that nothing matches.
      ValueError: if there are no patterns.
    """
    names = registry.PROBLEMS.names()
    if not patterns:
        raise ValueError(
            f"--problem must name a problem. There are: {', '.join(names)}."
        )
    selected: dict[str, None] = {}
    for pattern in patterns:
        if pattern.endswith("*"):
            matches = [name for name in names if name.startswith(pattern[:-1])]
            if not matches:
                raise LookupError(
                    f"No problem begins with '{pattern[:-1]}'. There are: "
                    f"{', '.join(names)}."
                )
        else:
            cls: type[problems.Problem] = registry.problem_class(pattern)
            matches = [cls.name]
        selected.update(dict.fromkeys(matches))
    return list(selected)


def select_one_problem(patterns: Sequence[str]) -> str:
    """Returns the one registered name that --problem stands for.

    Raises:
      LookupError: for a name or a pattern that nothing matches.
      ValueError: unless there is exactly one.
    """
    names = select_problems(patterns)
    if len(names) > 1:
        raise ValueError(f"--problem must name one problem; got {', '.join(names)}.")
    return names[0]


def select_problems_of_run(
    description: run_folder.RunDescription, patterns: Sequence[str]
) -> list[str]:
    """Returns the problems of a run that --problem stands for; all by default.

    Raises:
      LookupError: for a name that does not exist or that the run does not know.
    """
    if not patterns:
        return sorted(description.trained)
    names = select_problems(patterns)
    others = [name for name in names if name not in description.problems]
    if others:
        raise LookupError(
            f"The run did not train on {', '.join(others)}. It knows: "
            f"{', '.join(sorted(description.problems))}."
        )
    return names


def require(values: flags.FlagValues, *names: str) -> None:
    """Raises `ValueError` unless flags have been given."""
    for name in names:
        if not values[name].value:
            raise ValueError(f"--{name} must be given. See --help.")


def make_folder(flag: str, path: str) -> None:
    """Makes the folder that a flag names, and checks that files can be made in it.

    Raises:
      OSError: if not.
    """
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise OSError(
            f"--{flag} must be a folder in which files can be made; '{path}' is not: "
            f"{error.strerror}. Choose another, or mend its permissions or its disk."
        ) from None


def parse(values: flags.FlagValues, argv: Sequence[str], usage: str) -> None:
    """Parses a command line; prints the usage and exits for --help.

    Args:
      values: the flags of the program.
      argv: the program's name and its arguments.
      usage: what the program does.

    Raises:
      ValueError: for an argument that is not a flag.
      absl.flags.Error: for a flag that does not exist or has a wrong value.
    """
    if {"--help", "-help", "-h"} & set(argv[1:]):
        lines = [usage.strip(), "", "Flags:", "", _describe(values)]
        sys.stdout.write("\n".join(lines) + "\n")
        raise SystemExit(0)
    rest = values(list(argv))[1:]
    if rest:
        raise ValueError(f"There are flags only, such as --problem; got '{rest[0]}'.")


def _describe(values: flags.FlagValues) -> str:
    return values.get_help(include_special_flags=False).strip()


def start_logging() -> None:
    """Sends lines such as "16:09:11 datagen | ..." to stderr."""
    flags.FLAGS.mark_as_parsed()  # absl's own flags, which keep their defaults
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    formatter = standard_logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S")
    handler = logging.get_absl_handler()
    handler.setFormatter(formatter)
    handler.addFilter(_is_worth_reading)


def _is_worth_reading(record: standard_logging.LogRecord) -> bool:
    """Leaves out what others log of their own inner workings."""
    folders = record.pathname.split(os.sep)
    if "tensorflow_datasets" in folders:  # warns of every dataset not yet prepared
        return record.levelno > standard_logging.WARNING
    is_ours = not {"tensorflow", "apache_beam"} & set(folders)
    return is_ours or record.levelno > standard_logging.INFO


def _wants_traceback(argv: Sequence[str]) -> bool:
    values = flags.FlagValues()
    define_debug(values)
    try:
        values(list(argv), known_only=True)
    except flags.Error:
        return False
    return values.debug


def run(program: str, main: Callable[[Sequence[str]], None]) -> int:
    """Runs a program and returns its exit status.

    A mistake of the user is answered by one line; --debug shows where it came up.
    """
    start_logging()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors=stream.errors)
    try:
        main(sys.argv)
    except _USER_ERRORS as error:
        if isinstance(error, _BUGS) or _wants_traceback(sys.argv):
            raise
        sys.stderr.write(f"{program}: error: {error}\n")
        return USER_ERROR
    except KeyboardInterrupt:
        sys.stderr.write(f"{program}: interrupted\n")
        return 130  # as a shell reports SIGINT
    return 0
