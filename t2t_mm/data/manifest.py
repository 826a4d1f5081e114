"""What was generated: a JSON file per problem beside its shards.

The manifest is written last and atomically, so records without one are not read.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import google_crc32c

from t2t_mm.features import Split

FORMAT = 2
_READ_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
    """One file of records, or an index.

    Attributes:
      file: name in the data folder.
      bytes: its size.
      crc32c: checksum of its content.
      count: how many records it has or describes.
    """

    file: str
    bytes: int
    crc32c: int
    count: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitFiles:
    """The files of one split.

    Attributes:
      shards: files of records.
      index: where each record is and how long its features are.
    """

    shards: tuple[File, ...]
    index: File


@dataclasses.dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The vocabulary that records are encoded with.

    Attributes:
      name: its registered name, or that of its only problem.
      file: name in the data folder.
      sha256: fingerprint of the file.
    """

    name: str
    file: str
    sha256: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """What was generated for a problem, by what, and with which checksums.

    Attributes:
      problem: its name.
      generator_version: that of the problem class.
      settings: whatever else decided the records, as JSON.
      splits: files by split.
      vocabulary: None if there is none.
      rejected: samples that made no record, by stream and reason: how many, the names
        of the first, and whether they were harmless.
    """

    problem: str
    generator_version: int
    settings: dict[str, Any]
    splits: dict[Split, SplitFiles]
    vocabulary: Vocabulary | None
    rejected: dict[str, Any] = dataclasses.field(default_factory=dict)

    def files(self) -> list[File]:
        """Returns all files of all splits."""
        return [
            file
            for split in self.splits.values()
            for file in (*split.shards, split.index)
        ]

    def missing_or_resized(self, data_dir: str) -> list[str]:
        """Returns a line for every file that is missing or of another size; cheap."""
        return [
            complaint
            for file in self.files()
            if (complaint := size_complaint(file, data_dir)) is not None
        ]

    def verify(self, data_dir: str) -> list[str]:
        """Returns a line for every file that is not as it was written; reads all."""
        complaints = self.missing_or_resized(data_dir)
        if complaints:
            return complaints
        for file in self.files():
            found = file_crc32c(os.path.join(data_dir, file.file))
            if found != file.crc32c:
                complaints.append(
                    f"'{file.file}' must have the checksum {file.crc32c:#010x}; its "
                    f"content gives {found:#010x}"
                )
        if complaint := vocabulary_complaint(self, data_dir):
            complaints.append(complaint)
        return complaints


def path(problem_name: str, data_dir: str) -> str:
    """Returns the path of a problem's manifest."""
    return os.path.join(data_dir, f"{problem_name}.manifest.json")


def size_complaint(file: File, data_dir: str) -> str | None:
    """Returns what is wrong with the size of a file, or None."""
    try:
        found = os.path.getsize(os.path.join(data_dir, file.file))
    except FileNotFoundError:
        return f"'{file.file}' is missing"
    if found == file.bytes:
        return None
    return f"'{file.file}' must have {file.bytes} bytes; it has {found}"


def vocabulary_complaint(manifest: Manifest, data_dir: str) -> str | None:
    """Returns what is wrong with the vocabulary file, or None."""
    vocabulary = manifest.vocabulary
    if vocabulary is None:
        return None
    try:
        found = file_sha256(os.path.join(data_dir, vocabulary.file))
    except FileNotFoundError:
        return f"the vocabulary '{vocabulary.file}' is missing"
    if found == vocabulary.sha256:
        return None
    return (
        f"the records were encoded with a vocabulary '{vocabulary.file}' of SHA-256 "
        f"{vocabulary.sha256}; the file has {found}"
    )


def file_sha256(file: str) -> str:
    """Returns the SHA-256 of a small file."""
    with open(file, "rb") as content:
        return hashlib.sha256(content.read()).hexdigest()


def file_crc32c(file: str) -> int:
    """Returns the CRC-32C of a file of any size."""
    crc = 0
    with open(file, "rb") as content:
        while chunk := content.read(_READ_BYTES):
            crc = google_crc32c.extend(crc, chunk)
    return crc


def write_atomically(file: str, content: bytes) -> None:
    """Writes a file so that it is found either whole or not at all."""
    unfinished = f"{file}.incomplete-{os.getpid()}"
    try:
        with open(unfinished, "wb") as output:
            output.write(content)
        os.replace(unfinished, file)
    finally:
        if os.path.exists(unfinished):
            os.remove(unfinished)


def save(manifest: Manifest, data_dir: str) -> None:
    """Writes the manifest of a problem, atomically."""
    fields = {"format": FORMAT, **dataclasses.asdict(manifest)}
    content = json.dumps(fields, indent=1, sort_keys=True) + "\n"
    write_atomically(path(manifest.problem, data_dir), content.encode())


def load(problem_name: str, data_dir: str) -> Manifest | None:
    """Returns the manifest of a problem, or None if there is none.

    Raises:
      ValueError: if it cannot be read or is of another format.
    """
    file = path(problem_name, data_dir)
    if not os.path.exists(file):
        return None
    with open(file, encoding="utf-8") as content:
        try:
            return _from_json(json.load(content))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"The manifest '{file}' cannot be read ({error!r}). Make the data "
                "again with: "
                f"t2t-datagen --problem={problem_name} --data_dir={data_dir}"
            ) from None


def load_or_none(problem_name: str, data_dir: str) -> Manifest | None:
    """Returns the manifest of a problem, or None if there is none that can be read."""
    try:
        return load(problem_name, data_dir)
    except ValueError:
        return None


def _from_json(fields: Mapping[str, Any]) -> Manifest:
    if fields["format"] != FORMAT:
        raise ValueError(f"format {fields['format']}, this version reads {FORMAT}")
    return Manifest(
        problem=fields["problem"],
        generator_version=fields["generator_version"],
        settings=fields["settings"],
        splits={
            Split(split): SplitFiles(
                shards=tuple(File(**shard) for shard in files["shards"]),
                index=File(**files["index"]),
            )
            for split, files in fields["splits"].items()
        },
        vocabulary=fields["vocabulary"] and Vocabulary(**fields["vocabulary"]),
        rejected=fields["rejected"],
    )
