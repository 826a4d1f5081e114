"""Fetching the files of a corpus: resumed, verified, whole or not at all.

The files of a corpus named "books" lie in `tmp_dir/books`; one that is being fetched in
`tmp_dir/books.incomplete`. What has been verified is noted in
`tmp_dir/books.verified.json`, so that big files are read through only once.
"""

import contextlib
import dataclasses
import enum
import fcntl
import gzip
import hashlib
import json
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from absl import logging

from t2t_mm.data import corpus as corpora
from t2t_mm.data import http_file

_DAMAGED = (
    EOFError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    tarfile.ReadError,
    zipfile.BadZipFile,
    zlib.error,
)


class State(enum.Enum):
    """How much of a download is there."""

    COMPLETE = "there"
    PARTIAL = "partly there"
    MISSING = "not there"
    WRONG = "there with another content"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folder:
    """Where the files of a corpus are kept.

    Attributes:
      corpus: what they belong to.
      tmp_dir: where the folder is.
    """

    corpus: corpora.Corpus
    tmp_dir: str

    @property
    def path(self) -> str:
        """The folder; it holds whole files only."""
        return os.path.join(self.tmp_dir, self.corpus.name)

    def file(self, download: corpora.Download) -> str:
        """Returns where a file is when it is whole."""
        return os.path.join(self.path, download.file)

    def part(self, download: corpora.Download) -> str:
        """Returns where a file is as long as it is not whole."""
        return os.path.join(f"{self.path}.incomplete", download.file)

    @property
    def notes(self) -> str:
        """The file that says what has been verified."""
        return f"{self.path}.verified.json"

    @property
    def lock(self) -> str:
        """The file that is locked while files are fetched."""
        return os.path.join(self.tmp_dir, f".{self.corpus.name}.lock")

    def state(self, download: corpora.Download) -> tuple[State, int]:
        """Returns how much of a file is there, and its bytes; reads no content."""
        with contextlib.suppress(FileNotFoundError):
            size = os.path.getsize(self.file(download))
            is_whole = download.num_bytes in (None, size)
            return (State.COMPLETE if is_whole else State.WRONG), size
        with contextlib.suppress(FileNotFoundError):
            return State.PARTIAL, os.path.getsize(self.part(download))
        return State.MISSING, 0


def fetch(corpus: corpora.Corpus, tmp_dir: str, alternative: str | None = None) -> str:
    """Fetches the files of a corpus that are not there; returns their folder.

    Files that were put there by hand are verified and used. Another process that
    fetches the same corpus is waited for.

    Args:
      corpus: what to fetch.
      tmp_dir: where the folder of the corpus is.
      alternative: what else a user may do who cannot fetch it; to name its path if
        None.

    Raises:
      DownloadError: if a file cannot be fetched, or the disk is too small; names the
        files and where to put them. It is an OSError.
      ValueError: if a file has another content than it should.
    """
    folder = Folder(corpus=corpus, tmp_dir=tmp_dir)
    os.makedirs(folder.path, exist_ok=True)
    with locked(folder.lock, f"fetches {corpus.name}"):
        missing = [item for item in corpus.downloads if not _is_verified(item, folder)]
        if missing:
            http_file.check_space(folder.path, _bytes_to_fetch(missing, folder))
        for number, download in enumerate(missing):
            try:
                if number == 0:
                    http_file.check_reachable(download.url)
                _fetch_file(download, folder)
            except http_file.DownloadError as error:
                lines = [str(error), *_by_hand(missing[number:], folder)]
                lines.append(alternative or _elsewhere(corpus))
                raise http_file.DownloadError("\n".join(lines)) from None
        with contextlib.suppress(OSError):  # other files may be half there
            os.rmdir(f"{folder.path}.incomplete")
    return folder.path


def _by_hand(missing: Sequence[corpora.Download], folder: Folder) -> list[str]:
    lines = ["These files are still missing. Put them there by hand:"]
    for download in missing:
        size = http_file.size_text(download.num_bytes)
        lines.append(f"  {folder.file(download)} ({size}) from {download.url}")
    return lines


def _elsewhere(corpus: corpora.Corpus) -> str:
    return (
        f"Or, if you have {corpus.title} elsewhere, say where: "
        f"--corpus_path={corpus.name}=PATH."
    )


def _bytes_to_fetch(missing: Sequence[corpora.Download], folder: Folder) -> int:
    sizes = [
        max(0, (download.num_bytes or 0) - folder.state(download)[1])
        for download in missing
    ]
    return sum(sizes)


def fingerprint(corpus: corpora.Corpus) -> str:
    """Returns a hash of what the files of a corpus should be; reads none of them."""
    files = sorted(
        (item.file, item.sha256 or item.url, item.num_bytes)
        for item in corpus.downloads
    )
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


@contextlib.contextmanager
def locked(path: str, work: str) -> Iterator[None]:
    """Waits until no other process does the same work."""
    with open(path, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed if we are killed
        except BlockingIOError:
            logging.info("downloads | another process %s; waiting for it", work)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch_file(download: corpora.Download, folder: Folder) -> None:
    part, file = folder.part(download), folder.file(download)
    for path in (part, file):
        os.makedirs(os.path.dirname(path), exist_ok=True)
    was_resumed = os.path.exists(part)
    http_file.fetch_part(download, part)
    complaint = _complaint(download, part)
    if complaint and was_resumed:
        logging.info("downloads | %s %s; fetching all of it again", part, complaint)
        os.remove(part)
        http_file.fetch_part(download, part)
        complaint = _complaint(download, part)
    if complaint:
        os.remove(part)
        raise ValueError(
            f"What {download.url} sends as '{download.file}' {complaint}. It may have "
            f"changed or be cut off by a proxy: put the right file into '{file}' by "
            "hand."
        )
    os.replace(part, file)
    http_file.forget_version(part)
    notes = _read_notes(folder)
    notes[download.file] = _note(download, file)
    _write_notes(notes, folder)


# Verifying.


def _is_verified(download: corpora.Download, folder: Folder) -> bool:
    """Returns whether a file is there; one that is there must be right."""
    file = folder.file(download)
    if not os.path.exists(file):
        return False
    note = _note(download, file)
    notes = _read_notes(folder)
    if notes.get(download.file) == note:
        return True
    complaint = _complaint(download, file)
    if complaint:
        raise ValueError(
            f"'{file}' {complaint}. Remove it, to have it fetched from {download.url}, "
            "or put the right file in its place."
        )
    notes[download.file] = note
    _write_notes(notes, folder)
    return True


def _complaint(download: corpora.Download, file: str) -> str | None:
    """Returns what is wrong with the content of a file, or None."""
    size = os.path.getsize(file)
    if download.num_bytes not in (None, size):
        return f"must have {download.num_bytes} bytes; it has {size}"
    if download.sha256 is None:
        return None
    logging.info("downloads | verifying %s", file)
    with open(file, "rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found == download.sha256.lower():
        return None
    return f"must have the SHA-256 {download.sha256.lower()}; it has {found}"


def _note(download: corpora.Download, file: str) -> list[Any]:
    """Returns, as JSON, what changes when a file or what it should be changes."""
    status = os.stat(file)
    return [status.st_size, status.st_mtime_ns, download.num_bytes, download.sha256]


def _read_notes(folder: Folder) -> dict[str, Any]:
    try:
        with open(folder.notes, encoding="utf-8") as file:
            return json.load(file)
    except (FileNotFoundError, json.JSONDecodeError):
        return {}  # it is only a memory of what can be done again


def _write_notes(notes: dict[str, Any], folder: Folder) -> None:
    unfinished = f"{folder.notes}.incomplete"
    with open(unfinished, "w", encoding="utf-8") as file:
        json.dump(notes, file, indent=1)
    os.replace(unfinished, folder.notes)


# Unpacking.


def extract(archive: str, folder: str) -> str:
    """Unpacks a tar or zip archive, unless `folder` exists; returns `folder`.

    Args:
      archive: the file.
      folder: where its members go; exists only when all of them are there.

    Raises:
      ValueError: if the archive is damaged, or a member would lie elsewhere.
    """
    folder = os.path.normpath(folder)
    parent, name = os.path.split(os.path.abspath(folder))
    os.makedirs(parent, exist_ok=True)
    with locked(os.path.join(parent, f".{name}.lock"), f"unpacks {archive}"):
        if os.path.isdir(folder):
            return folder
        unfinished = f"{folder}.incomplete"
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            os.mkdir(unfinished)
            logging.info("downloads | unpacking %s", archive)
            _unpack(archive, unfinished)
            os.rename(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _unpack(archive: str, folder: str) -> None:
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, folder)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")  # nothing outside, no devices
                _read_to_end(tar.fileobj)
    except tarfile.FilterError as error:
        raise ValueError(f"'{archive}' must not be unpacked: {error}.") from None
    except _DAMAGED as error:
        raise ValueError(
            f"'{archive}' must be a whole tar or zip archive: {error}. Remove it, "
            "to have it fetched again."
        ) from None


def _read_to_end(file: Any) -> None:
    """Reads what is after the last member: the checksum of a compressed file."""
    while file.read(1 << 20):
        pass


def _unpack_zip(archive: str, folder: str) -> None:
    with zipfile.ZipFile(archive) as content:
        for name in content.namelist():
            target = os.path.normpath(os.path.join(folder, name))
            if not target.startswith(folder + os.sep):
                raise ValueError(
                    f"'{archive}' must not be unpacked: '{name}' would lie outside of "
                    "the folder."
                )
        content.extractall(folder)
