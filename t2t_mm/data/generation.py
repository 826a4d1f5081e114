"""Making the records of a problem: samples -> encoded -> shuffled shards -> manifest.

Everything is written into a folder of its own and moved into place when it is whole;
the manifest comes last, and reading needs the manifest. So a run that is interrupted,
at any moment, leaves either the old data, or the new, or none.
"""

import contextlib
import fcntl
import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from typing import Any

from absl import logging

from t2t_mm import problem as problems
from t2t_mm.data import manifest as manifests
from t2t_mm.data import shard_writer, tfrecord, vocabulary
from t2t_mm.data.options import GenerationOptions, corpus_fingerprint
from t2t_mm.features import Split

SECONDS_BETWEEN_LOG_LINES = 5.0


def generate(
    problem: problems.Problem,
    data_dir: str,
    tmp_dir: str,
    options: GenerationOptions | None = None,
) -> manifests.Manifest:
    """Makes the records and the vocabulary of a problem, unless they are up to date.

    Args:
      problem: what to make.
      data_dir: folder for records, manifest and vocabulary; made if need be.
      tmp_dir: folder for downloads; made if need be.
      options: seed, limits and corpora.

    Returns:
      What is in `data_dir`.

    Raises:
      FileNotFoundError: if a corpus is needed that the user has not named.
      ValueError: if a sample cannot be encoded, a split is empty, or another process is
        making the same problem.
    """
    options = options or GenerationOptions()
    os.makedirs(data_dir, exist_ok=True)
    os.makedirs(tmp_dir, exist_ok=True)
    options.configure(problem)
    with _locked_folder(problem.name, data_dir) as folder:
        words = vocabulary.ensure(problem, data_dir, tmp_dir, options)
        wanted = manifests.Manifest(
            problem=problem.name,
            generator_version=problem.generator_version,
            settings=_settings(problem, data_dir, options),
            splits={},
            vocabulary=words,
        )
        existing, reasons = _existing(wanted, data_dir)
        if existing is not None:
            logging.info("datagen | %s is up to date in %s", problem.name, data_dir)
            return existing
        logging.info("datagen | making %s: %s", problem.name, "; ".join(reasons))
        splits = _write_splits(problem, data_dir, tmp_dir, folder, options)
        return _publish(wanted, splits, folder, data_dir)


def _settings(
    problem: problems.Problem, data_dir: str, options: GenerationOptions
) -> dict[str, Any]:
    needs_corpus = problem.corpus is not None
    settings = {
        "corpus": _corpus_setting(problem, data_dir) if needs_corpus else None,
        "is_generate_per_split": problem.is_generate_per_split,
        "max_cases": options.max_cases,
        "random_seed": options.random_seed,
        "shards": {str(s["split"]): s["shards"] for s in problem.dataset_splits},
        "problem": problem.generation_settings(),
    }
    return json.loads(json.dumps(settings))  # as it will be read back


def _corpus_setting(problem: problems.Problem, data_dir: str) -> str:
    """Fingerprints the corpus; without its path, existing records are trusted."""
    if problem.corpus_path is None:
        with contextlib.suppress(ValueError):
            existing = manifests.load(problem.name, data_dir)
            if existing is not None and existing.settings.get("corpus"):
                return existing.settings["corpus"]
    return corpus_fingerprint(problem.require_corpus_path())


def _existing(
    wanted: manifests.Manifest, data_dir: str
) -> tuple[manifests.Manifest | None, list[str]]:
    """Returns the manifest of data that need not be made, or reasons to make it."""
    try:
        existing = manifests.load(wanted.problem, data_dir)
    except ValueError as error:
        return None, [str(error)]
    if existing is None:
        return None, ["there are no records"]
    reasons = _differences(existing, wanted) + existing.missing_or_resized(data_dir)
    return (None, reasons) if reasons else (existing, [])


def _differences(old: manifests.Manifest, new: manifests.Manifest) -> list[str]:
    before = {"generator_version": old.generator_version, **old.settings}
    after = {"generator_version": new.generator_version, **new.settings}
    before["vocabulary"] = old.vocabulary and old.vocabulary.sha256
    after["vocabulary"] = new.vocabulary and new.vocabulary.sha256
    return [
        f"`{key}` was {before.get(key)} and is {after.get(key)}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


@contextlib.contextmanager
def _locked_folder(problem_name: str, data_dir: str) -> Iterator[str]:
    """Gives an empty folder to write into, and removes it afterwards."""
    folder = os.path.join(data_dir, f"{problem_name}.incomplete")
    with open(os.path.join(data_dir, f".{problem_name}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed if we are killed
        except BlockingIOError:
            raise ValueError(
                f"Another process is making {problem_name} in {data_dir}. Wait for it, "
                "or end it."
            ) from None
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _write_splits(
    problem: problems.Problem,
    data_dir: str,
    tmp_dir: str,
    folder: str,
    options: GenerationOptions,
) -> dict[Split, manifests.SplitFiles]:
    with contextlib.ExitStack() as stack:
        writers = {}
        for part in problem.dataset_splits:
            split, num_shards = Split(part["split"]), part["shards"]
            writers[split] = shard_writer.SplitWriter(
                problem.name, split, num_shards=num_shards, folder=folder
            )
            stack.callback(writers[split].close)
        if problem.is_generate_per_split:
            for split, writer in writers.items():
                samples = _samples(problem, split, data_dir, tmp_dir, options)
                _write(problem, samples, itertools.repeat(writer), data_dir)
        else:
            # Small splits first: even a few samples then reach every split.
            deal = [w for w in reversed(writers.values()) for _ in range(w.num_shards)]
            samples = _samples(problem, Split.TRAIN, data_dir, tmp_dir, options)
            _write(problem, samples, itertools.cycle(deal), data_dir)
        for split, writer in writers.items():
            _check_not_empty(problem, split, writer.count, options)
        return {
            split: writer.finish(options.random_seed)
            for split, writer in writers.items()
        }


def _samples(
    problem: problems.Problem,
    split: Split,
    data_dir: str,
    tmp_dir: str,
    options: GenerationOptions,
) -> Iterator[dict[str, Any]]:
    options.seed_generators(problem, split)
    samples = problem.generate_samples(data_dir, tmp_dir, split)
    limited = itertools.islice(samples, options.max_cases or None)
    label = f"{problem.name} {split}" if problem.is_generate_per_split else problem.name
    return _with_progress(limited, label)


def _with_progress(samples: Iterable[Any], label: str) -> Iterator[Any]:
    start = last_line = time.monotonic()
    count = 0
    for sample in samples:
        yield sample
        count += 1
        now = time.monotonic()
        if now - last_line >= SECONDS_BETWEEN_LOG_LINES:
            last_line = now
            rate = count / (now - start)
            logging.info("datagen | %s | %d samples | %.0f/s", label, count, rate)
    seconds = time.monotonic() - start
    logging.info("datagen | %s | %d samples in %.1f s", label, count, seconds)


def _write(
    problem: problems.Problem,
    samples: Iterable[dict[str, Any]],
    writers: Iterable[shard_writer.SplitWriter],
    data_dir: str,
) -> None:
    for number, (sample, writer) in enumerate(zip(samples, writers, strict=False)):
        try:
            record = problem.encode(sample, data_dir)
            payload = tfrecord.encode_example(record)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"Sample {number} of {problem.name} cannot be encoded: {error} It has "
                f"the keys {sorted(sample)}."
            ) from error
        writer.add(payload, *problem.record_lengths(record))


def _check_not_empty(
    problem: problems.Problem, split: Split, count: int, options: GenerationOptions
) -> None:
    if count:
        return
    advice = f"make `generate_samples` yield some, or leave {split} out"
    if not problem.is_generate_per_split and options.max_cases:
        advice = f"raise --max_cases above {options.max_cases}, or leave {split} out"
    raise ValueError(
        f"The split {split} of {problem.name} must have samples; there were none. "
        f"Either {advice} of `dataset_splits`."
    )


def _publish(
    wanted: manifests.Manifest,
    splits: dict[Split, manifests.SplitFiles],
    folder: str,
    data_dir: str,
) -> manifests.Manifest:
    """Moves finished files into place; without a manifest nothing is read."""
    manifest = manifests.Manifest(
        problem=wanted.problem,
        generator_version=wanted.generator_version,
        settings=wanted.settings,
        splits=splits,
        vocabulary=wanted.vocabulary,
    )
    with contextlib.suppress(FileNotFoundError):
        os.remove(manifests.path(wanted.problem, data_dir))
    for name in _data_files(wanted.problem, data_dir):
        os.remove(os.path.join(data_dir, name))
    for file in manifest.files():
        os.replace(os.path.join(folder, file.file), os.path.join(data_dir, file.file))
    manifests.save(manifest, data_dir)
    return manifest


def _data_files(problem_name: str, data_dir: str) -> list[str]:
    """Returns all shards and indices of a problem, also of other shard counts."""
    splits = "|".join(Split)
    pattern = re.compile(
        rf"{problem_name}-({splits})(-\d{{5}}-of-\d{{5}}|\.index\.npy)"
        rf"|{problem_name}\.manifest\.json\.incomplete-\d+"
    )
    return [name for name in os.listdir(data_dir) if pattern.fullmatch(name)]
