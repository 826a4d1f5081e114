"""Making the records of a problem: samples -> encoded -> shuffled shards -> manifest.

Everything is written into a folder of its own and moved into place when it is whole;
the manifest comes last, and reading needs the manifest. So a run that is interrupted,
at any moment, leaves either the old data, or the new, or none.
"""

import contextlib
import dataclasses
import fcntl
import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
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
    """Makes records and vocabulary unless they are up to date; returns what there is.

    Args:
      problem: what to make.
      data_dir: folder for records, manifest and vocabulary; made if need be.
      tmp_dir: folder for downloads; made if need be.
      options: seed, limits and corpora.

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
        wanted = _wanted(problem, data_dir, tmp_dir, options)
        existing, reasons = _existing(wanted, data_dir)
        if existing is not None:
            logging.info("datagen | %s is up to date in %s", problem.name, data_dir)
            return existing
        logging.info("datagen | making %s: %s", problem.name, "; ".join(reasons))
        run = _Run(
            problem=problem,
            data_dir=data_dir,
            tmp_dir=tmp_dir,
            folder=folder,
            options=options,
        )
        made = dataclasses.replace(wanted, splits=run.write_splits())
        _publish(made, folder, data_dir)
        return made


def _wanted(
    problem: problems.Problem, data_dir: str, tmp_dir: str, options: GenerationOptions
) -> manifests.Manifest:
    """Builds the vocabulary if need be; returns a manifest without files yet."""
    return manifests.Manifest(
        problem=problem.name,
        generator_version=problem.generator_version,
        settings=_settings(problem, data_dir, options),
        splits={},
        vocabulary=vocabulary.ensure(problem, data_dir, tmp_dir, options),
    )


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Run:
    """One generation of one problem, into `folder`."""

    problem: problems.Problem
    data_dir: str
    tmp_dir: str
    folder: str
    options: GenerationOptions

    def write_splits(self) -> dict[Split, manifests.SplitFiles]:
        """Writes all splits and returns their files."""
        with contextlib.ExitStack() as stack:
            writers = {}
            for part in self.problem.dataset_splits:
                split, num_shards = Split(part["split"]), part["shards"]
                writers[split] = shard_writer.SplitWriter(
                    self.problem.name,
                    split,
                    num_shards=num_shards,
                    folder=self.folder,
                )
                stack.callback(writers[split].close)
            if self.problem.is_generate_per_split:
                for split, writer in writers.items():
                    self._write(split, itertools.repeat(writer))
            else:
                self._write(Split.TRAIN, itertools.cycle(_deal(writers)))
            for split, writer in writers.items():
                self._check_not_empty(split, writer.count)
            seed = self.options.random_seed
            return {split: writer.finish(seed) for split, writer in writers.items()}

    def _write(self, split: Split, writers: Iterable[shard_writer.SplitWriter]) -> None:
        name = self.problem.name
        label = f"{name} {split}" if self.problem.is_generate_per_split else name
        samples = _with_progress(self._samples(split), label)
        for number, (sample, writer) in enumerate(zip(samples, writers, strict=False)):
            if isinstance(sample, problems.Rejected):
                logging.info("datagen | %s is left out: %s", sample.name, sample.reason)
                continue
            try:
                record = self.problem.encode(sample, self.data_dir)
                _check_types(record, self.problem.record_types)
                payload = tfrecord.encode_example(record)
            except (KeyError, ValueError) as error:
                raise ValueError(
                    f"Sample {number} of {name} ({split}) cannot be encoded: {error} "
                    f"It has the keys {sorted(sample)}."
                ) from error
            writer.add(payload, *self.problem.record_lengths(record))

    def _samples(self, split: Split) -> Iterator[Any]:
        self.options.seed_generators(self.problem, split)
        samples = self.problem.generate_samples(self.data_dir, self.tmp_dir, split)
        return itertools.islice(samples, self.options.max_cases or None)

    def _check_not_empty(self, split: Split, count: int) -> None:
        if count:
            return
        advice = f"make `generate_samples` yield some, or leave {split} out"
        if not self.problem.is_generate_per_split and self.options.max_cases:
            advice = (
                f"raise --max_cases ({self.options.max_cases}), or leave {split} out"
            )
        raise ValueError(
            f"The split {split} of {self.problem.name} must have samples; there were "
            f"none. Either {advice} of `dataset_splits`."
        )


def _check_types(record: problems.Record, record_types: Mapping[str, str]) -> None:
    for name, values in record.items():
        found = tfrecord.value_type(name, values)
        expected = record_types.get(name, found)
        if found != expected:
            raise ValueError(
                f"`record_types` says that '{name}' is {expected}; the record has "
                f"{found}, as {type(values[0]).__name__}."
            )


def _deal(
    writers: Mapping[Split, shard_writer.SplitWriter],
) -> list[shard_writer.SplitWriter]:
    """Returns a writer per shard, small splits first: they get some of few samples."""
    by_size = sorted(writers.values(), key=lambda writer: writer.num_shards)
    return [writer for writer in by_size for _ in range(writer.num_shards)]


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


def _publish(manifest: manifests.Manifest, folder: str, data_dir: str) -> None:
    """Moves finished files into place; without a manifest nothing is read."""
    with contextlib.suppress(FileNotFoundError):
        os.remove(manifests.path(manifest.problem, data_dir))
    for name in _data_files(manifest.problem, data_dir):
        os.remove(os.path.join(data_dir, name))
    for file in manifest.files():
        os.replace(os.path.join(folder, file.file), os.path.join(data_dir, file.file))
    manifests.save(manifest, data_dir)


def _data_files(problem_name: str, data_dir: str) -> list[str]:
    """Returns all shards and indices of a problem, also of other shard counts."""
    splits = "|".join(Split)
    pattern = re.compile(
        rf"{problem_name}-({splits})(-\d{{5}}-of-\d{{5}}|\.index\.npy)"
        rf"|{problem_name}\.manifest\.json\.incomplete-\d+"
    )
    return [name for name in os.listdir(data_dir) if pattern.fullmatch(name)]
