"""Generation on Apache Beam: the same records in the same shards, on many machines.

    streams -> samples in chunks -> framed records by shard -> sorted shards

The keys that decide the order of all data depend on the number of a sample in its
stream, not on who encodes it when. So each shard is what the local runner would write.
Workers need the corpus, not the data folder: they write into any place that Beam knows,
such as "gs://bucket/folder", and this process fetches the shards from there. A worker
holds one shard in memory.

Importing this needs Apache Beam.
"""

import collections
import os
import pickle
import shutil
import sys
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import apache_beam as beam
from absl import logging
from apache_beam.io import filesystem, filesystems
from apache_beam.options import pipeline_options

from t2t_mm import problem as problems
from t2t_mm.data import beam_steps, chunks, shard_writer
from t2t_mm.data import manifest as manifests
from t2t_mm.data.beam_steps import ShardName
from t2t_mm.features import Split

RESULTS_FILE = "results.pickle"
FILES_FILE = "files.pickle"


def write_shards(
    encoder: chunks.Encoder, arguments: Sequence[str], work_dir: str
) -> tuple[dict[str, chunks.Result], dict[Split, list[manifests.File]]]:
    """Generates, encodes and writes all shards of a problem into `encoder.folder`.

    Args:
      encoder: says what to make; beside each shard come the rows of its index.
      arguments: options of Beam as on its command line: "--runner=FlinkRunner".
      work_dir: a folder that all workers and this process can write to.

    Returns:
      What became of the samples by label, and the shards of each split.

    Raises:
      ValueError: if the pipeline fails.
    """
    name = f"{encoder.problem.name}-{uuid.uuid4().hex}"
    job = beam_steps.Job(
        encoder=pickle.dumps(encoder),
        vocabulary=_vocabulary_files(encoder),
        module_path=tuple(sys.path),
        work_dir=filesystems.FileSystems.join(work_dir, name),
    )
    filesystems.FileSystems.mkdirs(job.work_dir)
    try:
        _run(job, encoder, arguments)
        return _fetch_results(job), _fetch_shards(job, encoder)
    finally:
        _delete(job.work_dir)


def _vocabulary_files(encoder: chunks.Encoder) -> dict[str, bytes]:
    spec = encoder.problem.vocabulary_spec
    if spec is None:
        return {}
    with open(os.path.join(encoder.data_dir, spec.filename), "rb") as file:
        return {spec.filename: file.read()}


def _run(
    job: beam_steps.Job, encoder: chunks.Encoder, arguments: Sequence[str]
) -> None:
    options = pipeline_options.PipelineOptions(list(arguments))
    problem_name = encoder.problem.name
    logging.info("datagen | %s | Beam: %s", problem_name, " ".join(arguments))
    try:
        with beam.Pipeline(options=options) as pipeline:
            _build(pipeline, job, encoder)
    except Exception as error:  # of any runner, or of the problem on some worker
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"The Beam pipeline of {problem_name} failed: {lines[-1].strip()}"
        ) from error


def _build(pipeline: Any, job: beam_steps.Job, encoder: chunks.Encoder) -> None:
    streams = chunks.streams_of(encoder.problem, encoder.data_dir, encoder.tmp_dir)
    names = sorted(stream.name for label in streams.values() for stream in label)
    numbers = {name: number for number, name in enumerate(names)}
    encoded = (
        pipeline
        | "Streams" >> beam.Create(_units(encoder, streams))
        | "SpreadStreams" >> beam.Reshuffle()
        | "Generate" >> beam.ParDo(beam_steps.Generate(job))
        | "SpreadChunks" >> beam.Reshuffle()
        | "Encode"
        >> beam.ParDo(beam_steps.Encode(job, numbers)).with_outputs(
            beam_steps.RESULTS, main="records"
        )
    )
    # Nothing for every shard, so that those without records are written too.
    nothing = [(tuple(name), b"") for name in _shard_names(encoder.problem)]
    (
        (encoded["records"], pipeline | "AllShards" >> beam.Create(nothing))
        | "Join" >> beam.Flatten()
        | "ByShard" >> beam.GroupByKey()
        | "Write" >> beam.ParDo(beam_steps.WriteShard(job))
        | "AllFiles" >> beam.combiners.ToList()
        | "NoteFiles" >> beam.ParDo(beam_steps.Note(_path(job, FILES_FILE)))
    )
    (
        encoded[beam_steps.RESULTS]
        | "AllResults" >> beam.combiners.ToList()
        | "NoteResults" >> beam.ParDo(beam_steps.Note(_path(job, RESULTS_FILE)))
    )


def _units(
    encoder: chunks.Encoder, streams: Mapping[str, Sequence[chunks.Stream]]
) -> list[list[chunks.Stream]]:
    """Returns which streams are generated one after the other."""
    if encoder.options.max_cases:  # counts all streams of a label
        return [list(label) for label in streams.values()]
    return [[stream] for label in streams.values() for stream in label]


def _shard_names(problem: problems.Problem) -> list[ShardName]:
    return [
        ShardName(str(Split(part["split"])), shard, part["shards"])
        for part in problem.dataset_splits
        for shard in range(part["shards"])
    ]


# What comes back.


def _fetch_results(job: beam_steps.Job) -> dict[str, chunks.Result]:
    """Returns the results by label, joined in the order of the samples."""
    found = pickle.loads(_read(_path(job, RESULTS_FILE)))
    results: dict[str, chunks.Result] = collections.defaultdict(chunks.empty_result)
    for _, _, label, result in sorted(found, key=lambda item: item[:2]):
        results[label].update(result)
    return dict(results)


def _fetch_shards(
    job: beam_steps.Job, encoder: chunks.Encoder
) -> dict[Split, list[manifests.File]]:
    """Moves shards and the rows of their index to where the local runner has them."""
    files = dict(pickle.loads(_read(_path(job, FILES_FILE))))
    shards: dict[Split, list[manifests.File]] = collections.defaultdict(list)
    for name in _shard_names(encoder.problem):
        file: manifests.File = files[name]
        for part in (file.file, shard_writer.index_part_path(file.file)):
            _fetch(_path(job, part), os.path.join(encoder.folder, part))
        shards[Split(name.split)].append(file)
    return dict(shards)


def _path(job: beam_steps.Job, name: str) -> str:
    return filesystems.FileSystems.join(job.work_dir, name)


def _open(path: str) -> Any:
    return filesystems.FileSystems.open(
        path, compression_type=filesystems.CompressionTypes.UNCOMPRESSED
    )


def _read(path: str) -> bytes:
    with _open(path) as file:
        return file.read()


def _delete(folder: str) -> None:
    if os.path.isdir(folder):
        shutil.rmtree(folder)
        return
    try:
        # The slash says to a store without folders that all below it is meant.
        filesystems.FileSystems.delete([f"{folder}/"])
    except filesystem.BeamIOError as error:
        logging.warning("datagen | cannot delete %s: %s", folder, error)


def _fetch(source: str, target: str) -> None:
    with _open(source) as content, open(target, "wb") as file:
        shutil.copyfileobj(content, file)
