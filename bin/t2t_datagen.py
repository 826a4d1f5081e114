"""Makes the records and vocabularies of problems.

t2t-datagen --problem=copy_digits --data_dir=~/data

Data that is complete and unchanged is left alone; whatever is missing, damaged or made
by other settings is made again, and the log says why.
"""

import dataclasses
import functools
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence

from absl import flags, logging

from t2t_mm import problem as problems
from t2t_mm import registry
from t2t_mm.bin import flags as common_flags
from t2t_mm.data import dry_run, generation, manifest, vocabulary, workers
from t2t_mm.data.options import GenerationOptions

PROGRAM = "t2t-datagen"
DEFAULT_VOCAB_SIZE = 2**13  # as in the paper


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What a worker process needs to know.

    Attributes:
      data_dir: where records go.
      tmp_dir: where downloads go.
      usr_dir: the user's modules, or None.
      lanes: how many problems are made at a time.
      options: seed, limits and corpora.
    """

    data_dir: str
    tmp_dir: str
    usr_dir: str | None
    lanes: int
    options: GenerationOptions


def define_flags() -> flags.FlagValues:
    """Returns the flags of the program."""
    values = flags.FlagValues()
    common_flags.define_problem(values)
    common_flags.define_data_dir(values)
    common_flags.define_tmp_dir(values)
    common_flags.define_usr_dir(values)
    common_flags.define_corpus_path(values)
    common_flags.define_debug(values)
    _define_selection(values)
    _define_generation(values)
    _define_vocabulary(values)
    _define_runner(values)
    return values


def _define_selection(values: flags.FlagValues) -> None:
    flags.DEFINE_list(
        "exclude_problems",
        [],
        "Leave out problems whose names contain one of these words.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "only_list",
        False,
        "Print the names of the selected problems and do nothing else.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "dry_run",
        False,
        "Make nothing; print what would be fetched, read and made, how big it is and "
        "where it would go. Needs no network.",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "verify",
        False,
        "Make nothing; read all records that exist and compare their checksums.",
        flag_values=values,
    )


def _define_generation(values: flags.FlagValues) -> None:
    flags.DEFINE_integer(
        "random_seed",
        problems.DEFAULT_RANDOM_SEED,
        "Decides random samples and the order of records.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "max_cases",
        0,
        "Most samples per split, to try a problem out; 0 for all.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "max_bad_percent",
        1.0,
        "Largest share of bad samples, in percent, above which a corpus is refused.",
        lower_bound=0.0,
        upper_bound=100.0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "num_workers",
        0,
        "How many processes work at the same time; 0 for one per core.",
        lower_bound=0,
        flag_values=values,
    )


def _define_runner(values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "runner",
        "local",
        ["local", "beam"],
        "Who does the work: processes of this machine, or a runner of Apache Beam.",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "beam_options",
        [],
        "With --runner=beam, an option of Beam as NAME=VALUE, such as "
        "runner=DataflowRunner; may be given several times. If there is no runner, "
        "--num_workers processes of this machine work.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "beam_dir",
        None,
        "With --runner=beam, a folder to which all workers can write and which this "
        "machine can read, such as gs://BUCKET/FOLDER; one in --data_dir if not given.",
        flag_values=values,
    )


def _define_vocabulary(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "vocabulary",
        None,
        "Vocabulary of all text: a name of your own, for one built from the selected "
        "problems and shared by all that name it; 'bytes'; or 'default', what each "
        "problem declares. If not given, existing records keep theirs.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "vocab_size",
        None,
        f"Number of subwords of --vocabulary. Default {DEFAULT_VOCAB_SIZE}.",
        lower_bound=1,
        flag_values=values,
    )


def main(argv: Sequence[str]) -> None:
    """Makes, lists, plans or verifies the problems that the flags select.

    Raises:
      ValueError: if a flag is wrong or a problem cannot be made.
      LookupError: if a problem does not exist.
      FileNotFoundError: if a corpus or, with --verify, data is missing.
    """
    values = define_flags()
    common_flags.parse(values, argv, __doc__)
    common_flags.import_registrations(values.t2t_usr_dir)
    names = _selected(values)
    if values.only_list:
        sys.stdout.write("".join(f"{name}\n" for name in names))
        return
    names = list(dict.fromkeys(registry.problem(n).dataset_name for n in names))
    common_flags.require(values, "data_dir")
    job = _job(values, names)
    if values.dry_run:
        for line in dry_run.report(names, job.data_dir, job.tmp_dir, job.options):
            sys.stdout.write(f"{line}\n")
        return
    if values.verify:
        _run_all(names, lambda name: _verify(name, job.data_dir))
        return
    common_flags.make_folder("data_dir", job.data_dir)
    common_flags.make_folder("tmp_dir", job.tmp_dir)
    if job.lanes == 1:
        _run_all(names, lambda name: _generate(name, job))
    else:
        _generate_in_processes(names, job)


def _selected(values: flags.FlagValues) -> list[str]:
    names = common_flags.select_problems(
        values.problem or (["*"] if values.only_list else [])
    )
    kept = [
        name
        for name in names
        if not any(word in name for word in values.exclude_problems)
    ]
    if not kept:
        raise ValueError(
            f"--exclude_problems={','.join(values.exclude_problems)} leaves out all of "
            f"the selected problems: {', '.join(names)}."
        )
    return kept


def _job(values: flags.FlagValues, names: Sequence[str]) -> Job:
    default_tmp_dir = os.path.join(tempfile.gettempdir(), "t2t_datagen")
    data_dir = os.path.expanduser(values.data_dir)
    num_workers = values.num_workers or len(os.sched_getaffinity(0))
    # Beam does what there is to do at the same time.
    lanes = 1 if values.runner == "beam" else min(num_workers, len(names))
    return Job(
        data_dir=data_dir,
        tmp_dir=os.path.expanduser(values.tmp_dir or default_tmp_dir),
        usr_dir=values.t2t_usr_dir,
        lanes=lanes,
        options=GenerationOptions(
            random_seed=values.random_seed,
            max_cases=values.max_cases,
            max_bad_percent=values.max_bad_percent,
            num_workers=num_workers // lanes,
            vocabulary=_vocabulary(values, names, data_dir),
            beam_arguments=_beam_arguments(values, num_workers),
            beam_dir=values.beam_dir,
            corpus_paths=common_flags.parse_corpus_paths(values.corpus_path),
        ),
    )


def _beam_arguments(
    values: flags.FlagValues, num_workers: int
) -> tuple[str, ...] | None:
    """Returns options as on the command line of Beam, or None to do without it."""
    given = tuple(f"--{option.lstrip('-')}" for option in values.beam_options)
    if values.runner != "beam":
        if given or values.beam_dir:
            raise ValueError("--beam_options and --beam_dir need --runner=beam.")
        return None
    if importlib.util.find_spec("apache_beam") is None:
        raise ValueError("--runner=beam needs Apache Beam: pip install 't2t-mm[beam]'.")
    if any(option.startswith("--runner=") for option in given):
        return given
    mode = "multi_processing" if num_workers > 1 else "in_memory"
    return (
        "--runner=FnApiRunner",  # what DirectRunner falls back to
        f"--direct_num_workers={num_workers}",
        f"--direct_running_mode={mode}",
        *given,
    )


def _vocabulary(
    values: flags.FlagValues, names: Sequence[str], data_dir: str
) -> registry.VocabularySpec | str | None:
    """Returns the choice of --vocabulary."""
    name = values.vocabulary
    if name in (None, registry.BYTE_VOCABULARY, registry.DEFAULT_VOCABULARY):
        if values.vocab_size:
            raise ValueError(
                "--vocab_size is for a vocabulary of yours: give --vocabulary=NAME too."
            )
        return name
    if name in registry.VOCABULARIES.names():
        known = registry.VOCABULARIES.get(name)
        size = values.vocab_size or known.approx_vocab_size
        return dataclasses.replace(known, approx_vocab_size=size)
    members = [registry.problem(problem_name) for problem_name in names]
    return vocabulary.declare(
        name, values.vocab_size or DEFAULT_VOCAB_SIZE, members, data_dir
    )


def _generate(name: str, job: Job) -> None:
    generation.generate(registry.problem(name), job.data_dir, job.tmp_dir, job.options)


def _verify(name: str, data_dir: str) -> None:
    existing = manifest.load(name, data_dir)
    if existing is None:
        raise FileNotFoundError(
            f"No records of {name} in {data_dir}. Make them with: "
            f"{PROGRAM} --problem={name} --data_dir={data_dir}"
        )
    complaints = existing.verify(data_dir)
    if complaints:
        raise ValueError(f"In {data_dir} {'; '.join(complaints)}.")
    logging.info("datagen | %s is as it was written", name)


def _run_all(names: Sequence[str], work: Callable[[str], object]) -> None:
    """Does all of the work that can be done, then reports what could not."""
    errors: dict[str, Exception] = {}
    for name in names:
        try:
            work(name)
        except (ValueError, OSError) as error:
            if len(names) == 1:
                raise
            _log_failure(name, error)
            errors[name] = error
    _raise_failures(errors, len(names))


def _log_failure(name: str, error: Exception) -> None:
    logging.error("datagen | %s failed: %s", name, error)


def _raise_failures(errors: Mapping[str, Exception], total: int) -> None:
    if errors:
        raise ValueError(
            f"{len(errors)} of {total} problems failed. "
            + " ".join(f"{name}: {error}" for name, error in errors.items())
        )


def _generate_in_processes(names: Sequence[str], job: Job) -> None:
    # Shared vocabularies first: two workers must not build one at the same time.
    shared = {}
    for name in names:
        problem = job.options.configured(registry.problem(name))
        vocabulary.choose(problem, job.data_dir, job.options.vocabulary)
        spec = problem.vocabulary_spec
        if spec is not None and spec.problems != (problem.name,):
            shared[spec.filename] = problem
    for problem in shared.values():
        vocabulary.ensure(problem, job.data_dir, job.tmp_dir, job.options)
    errors: dict[str, Exception] = {}
    try:
        with workers.pool(job.lanes) as pool:
            results = pool.map(functools.partial(_work, job=job), names)
            for name, error in zip(names, results, strict=True):
                if error is not None:
                    _log_failure(name, error)
                    errors[name] = error
    except KeyboardInterrupt:
        logging.info("datagen | the same command goes on where it was")
        raise
    _raise_failures(errors, len(names))


def _work(name: str, job: Job) -> Exception | None:
    """Makes a problem in a process of its own; returns why it cannot be made."""
    common_flags.start_logging()
    common_flags.import_registrations(job.usr_dir)
    try:
        _generate(name, job)
    except (ValueError, OSError) as error:
        return error
    return None


def run() -> None:
    """Entry point of the command `t2t-datagen`."""
    sys.exit(common_flags.run(PROGRAM, main))


if __name__ == "__main__":
    run()
