"""Making the records of a problem: samples -> encoded -> shuffled shards -> manifest.

Samples are encoded in chunks (chunks.py), by several processes, and the chunks sorted
into shards (shard_writer.py); memory does not grow with the corpus. Everything is
written into a folder of its own and moved into place when it is whole; the manifest
comes last, and reading needs the manifest. So a run that is interrupted, at any moment,
leaves either the old data, or the new, or none; the next one goes on where it was.
"""

import collections
import contextlib
import dataclasses
import fcntl
import functools
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import logging
from etils import epy

from t2t_mm import problem as problems
from t2t_mm import registry
from t2t_mm.data import (
    chunks,
    downloads,
    old_names,
    progress,
    records,
    shard_writer,
    vocabulary,
    workers,
)
from t2t_mm.data import manifest as manifests
from t2t_mm.data.options import GenerationOptions, corpus_fingerprint
from t2t_mm.features import Split

with epy.lazy_imports():
    from t2t_mm.data import beam_runner

WANTED_FILE = "wanted.json"  # what an unfinished generation is of


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
      ValueError: if too many samples are bad, a split is empty, or another process is
        making the same problem.
    """
    options = options or GenerationOptions()
    os.makedirs(data_dir, exist_ok=True)
    os.makedirs(tmp_dir, exist_ok=True)
    if problem.name != problem.dataset_name:  # a variant reads another's records
        problem = registry.problem(problem.dataset_name)
    problem = options.configured(problem)
    with (
        _locked_folder(problem.name, data_dir) as folder,
        workers.pool(options.num_workers) as pool,
    ):
        wanted = _wanted(problem, data_dir, tmp_dir, options)
        existing, reasons = _existing(problem, wanted, data_dir)
        if existing is not None:
            logging.info("datagen | %s is up to date in %s", problem.name, data_dir)
            return existing
        logging.info("datagen | making %s: %s", problem.name, "; ".join(reasons))
        for remark in old_names.remarks(type(problem)):
            logging.warning("datagen | %s", remark)
        _start_or_go_on(wanted, folder)
        run = _Run(
            problem=problem,
            data_dir=data_dir,
            tmp_dir=tmp_dir,
            folder=folder,
            options=options,
        )
        try:
            splits, rejected = run.write_splits(pool)
        except KeyboardInterrupt:
            logging.info("datagen | %s | the same command goes on here", problem.name)
            raise
        made = dataclasses.replace(wanted, splits=splits, rejected=rejected)
        _publish(made, folder, data_dir)
        shutil.rmtree(folder)
        return made


def reasons_to_make(
    problem: problems.Problem, data_dir: str, options: GenerationOptions
) -> list[str]:
    """Returns why `generate` would make records; no reasons if they are up to date.

    Fetches and writes nothing.

    Args:
      problem: what would be made.
      data_dir: folder for records, manifest and vocabulary; may not exist.
      options: seed, limits and corpora.

    Raises:
      FileNotFoundError: if a corpus is needed that the user has not named.
    """
    problem = options.configured(problem)
    vocabulary.choose(problem, data_dir, options.vocabulary)
    reason = vocabulary.reason_to_build(problem, data_dir, options)
    if reason is not None:
        name = problem.vocabulary_spec.filename if problem.vocabulary_spec else ""
        return [f"its vocabulary {name} will be built: {reason}"]
    wanted = manifests.Manifest(
        problem=problem.name,
        generator_version=problem.generator_version,
        settings=_settings(problem, data_dir, options),
        splits={},
        vocabulary=vocabulary.existing(problem, data_dir),
    )
    return _existing(problem, wanted, data_dir)[1]


def _wanted(
    problem: problems.Problem, data_dir: str, tmp_dir: str, options: GenerationOptions
) -> manifests.Manifest:
    """Builds the vocabulary if need be; returns a manifest without files yet."""
    built = vocabulary.ensure(problem, data_dir, tmp_dir, options)
    return manifests.Manifest(
        problem=problem.name,
        generator_version=problem.generator_version,
        settings=_settings(problem, data_dir, options),
        splits={},
        vocabulary=built,
    )


def _settings(
    problem: problems.Problem, data_dir: str, options: GenerationOptions
) -> dict[str, Any]:
    settings = {
        "corpus": _corpus_setting(problem, data_dir),
        "is_generate_per_split": problem.is_generate_per_split,
        "max_cases": options.max_cases,
        "random_seed": options.random_seed,
        "shards": {str(s["split"]): s["shards"] for s in problem.dataset_splits},
        "problem": problem.generation_settings(),
        "vocabulary_choice": problem.vocabulary_choice,
    }
    return json.loads(json.dumps(settings))  # as it will be read back


def _corpus_setting(problem: problems.Problem, data_dir: str) -> str | None:
    """Fingerprints the corpus; without its path, existing records are trusted."""
    if problem.corpus is None:
        return None
    if problem.corpus_path is None:
        existing = manifests.load_or_none(problem.name, data_dir)
        if existing is not None and existing.settings.get("corpus"):
            return existing.settings["corpus"]
    if problem.source is problems.Source.DOWNLOADS:
        return downloads.fingerprint(problem.corpus)
    if problem.source is problems.Source.TFDS:
        return problem.tfds_name
    return corpus_fingerprint(problem.corpus_files())


def _existing(
    problem: problems.Problem, wanted: manifests.Manifest, data_dir: str
) -> tuple[manifests.Manifest | None, list[str]]:
    """Returns the manifest of data that need not be made, or reasons to make it."""
    try:
        existing = manifests.load(wanted.problem, data_dir)
    except ValueError as error:
        return None, [str(error)]
    if existing is None:
        return None, ["there are no records"]
    reasons = _differences(existing, wanted) + existing.missing_or_resized(data_dir)
    reasons += [
        f"'{file}' is missing"
        for file in problem.vocabulary_files
        if not os.path.exists(os.path.join(data_dir, file))
    ]
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
    """Gives the folder to write into, for one process at a time.

    It is left behind by an error or an interruption, so that the next run goes on.
    """
    folder = os.path.join(data_dir, f"{problem_name}.incomplete")
    with open(os.path.join(data_dir, f".{problem_name}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed if we are killed
        except BlockingIOError:
            raise ValueError(
                f"Another process is making {problem_name} in {data_dir}. Wait for it, "
                "or end it."
            ) from None
        yield folder


def _start_or_go_on(wanted: manifests.Manifest, folder: str) -> None:
    """Empties the folder unless it holds the beginnings of what is wanted."""
    path = os.path.join(folder, WANTED_FILE)
    content = json.dumps(dataclasses.asdict(wanted), sort_keys=True).encode()
    if os.path.exists(path):
        with open(path, "rb") as file:
            if file.read() == content:
                logging.info("datagen | %s | going on where it ended", wanted.problem)
                return
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    manifests.write_atomically(path, content)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Run:
    """One generation of one problem, into `folder`."""

    problem: problems.Problem
    data_dir: str
    tmp_dir: str
    folder: str
    options: GenerationOptions

    def write_splits(
        self, pool: workers.Pool
    ) -> tuple[dict[Split, manifests.SplitFiles], dict[str, Any]]:
        """Writes all splits; returns their files, and what was rejected."""
        if self.options.beam_arguments is None:
            results, shards = self._encode_all(pool), None
        else:
            results, shards = beam_runner.write_shards(
                self._encoder(),
                self.options.beam_arguments,
                self.options.beam_dir or self.folder,
            )
        counts = collections.Counter[Split]()
        for label, result in results.items():
            self._report(label, result)
            counts.update(result.counts)
        for part in self.problem.dataset_splits:
            self._check_not_empty(Split(part["split"]), counts)
        files = {
            split: self._files(split, self._merge(split, num_shards, pool))
            if shards is None
            else self._files(split, shards[split])
            for split, num_shards in self._splits()
        }
        rejected = {
            label: result.rejections.to_json()
            for label, result in results.items()
            if result.rejections.reasons
        }
        return files, rejected

    def _splits(self) -> list[tuple[Split, int]]:
        parts = self.problem.dataset_splits
        return [(Split(part["split"]), part["shards"]) for part in parts]

    def _encoder(self) -> chunks.Encoder:
        return chunks.Encoder(
            problem=self.problem,
            data_dir=self.data_dir,
            tmp_dir=self.tmp_dir,
            folder=self.folder,
            options=self.options,
        )

    def _encode_all(self, pool: workers.Pool) -> dict[str, chunks.Result]:
        """Writes the chunks of all streams."""
        streams = chunks.streams_of(self.problem, self.data_dir, self.tmp_dir)
        return {label: self._encode(label, streams[label], pool) for label in streams}

    def _encode(
        self, label: str, streams: Sequence[chunks.Stream], pool: workers.Pool
    ) -> chunks.Result:
        """Writes the chunks of some streams."""
        encoder = self._encoder()
        if len(streams) > 1 and not self.options.max_cases:
            results = pool.map(encoder.encode_stream, streams)
        else:
            results = pool.map(encoder.encode, encoder.chunks_of(streams))
        total = chunks.empty_result()
        with progress.Progress(f"{self.problem.name} {label}", "samples") as bar:
            for result in results:
                bar.add(result.rejections.num_samples)
                total.update(result)
                self._check_rejections(label, total, is_whole=False)
        return total

    def _report(self, label: str, result: chunks.Result) -> None:
        """Refuses a corpus with too many bad samples, and says what was left out."""
        self._check_rejections(label, result, is_whole=True)
        for line in result.rejections.lines():
            logging.warning(
                "datagen | %s %s | left out %s", self.problem.name, label, line
            )

    def _check_rejections(
        self, label: str, result: chunks.Result, *, is_whole: bool
    ) -> None:
        limit = self.options.max_bad_percent
        title = f"{self.problem.name} {label}"
        result.rejections.check(title, limit, is_whole=is_whole)

    def _check_not_empty(self, split: Split, counts: Mapping[Split, int]) -> None:
        if counts[split]:
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

    def _merge(
        self, split: Split, num_shards: int, pool: workers.Pool
    ) -> list[manifests.File]:
        """Writes the shards of a split from the chunks."""
        name = self.problem.name
        write = functools.partial(
            _write_shard,
            folder=self.folder,
            split=split,
            names=records.shard_names(name, split, num_shards),
        )
        shards = []
        with progress.Progress(f"{name} {split}", "shards", num_shards) as bar:
            for shard in pool.map(write, range(num_shards)):
                shards.append(shard)
                bar.add(1)
        return shards

    def _files(
        self, split: Split, shards: Sequence[manifests.File]
    ) -> manifests.SplitFiles:
        """Joins the indices of the shards of a split."""
        name = records.index_name(self.problem.name, split)
        index_path = os.path.join(self.folder, name)
        index = shard_writer.join_index(shards, index_path)
        return manifests.SplitFiles(shards=tuple(shards), index=index)


def _write_shard(
    shard: int, *, folder: str, split: Split, names: Sequence[str]
) -> manifests.File:
    return shard_writer.write_shard(
        chunks.chunk_paths(folder),
        split,
        shard=shard,
        num_shards=len(names),
        path=os.path.join(folder, names[shard]),
    )


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
