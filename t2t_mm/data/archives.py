"""Reading archives in place, without unpacking them."""

import contextlib
import dataclasses
import functools
import os
import pathlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

INNER_ENDING = ".tar"


class Member(NamedTuple):
    """One file of an archive.

    Attributes:
      name: its name in the archive, with folders.
      content: its bytes.
    """

    name: str
    content: bytes


def tar_members(path: str, inner: str | None = None) -> Iterator[Member]:
    """Yields the files of a tar archive, compressed or not, in its order.

    An archive in the archive (`*.tar`) is opened too, and its files are yielded as
    "inner.tar/name". At most one file is in memory.

    Args:
      path: the archive.
      inner: the one archive in it whose files are wanted; None for everything.

    Raises:
      ValueError: if the archive is damaged or cut off.
    """
    with _named_errors(path), tarfile.open(path) as archive:
        for entry in _entries(archive):
            if inner in (None, _name(entry)):
                yield from _files(archive, entry, "")


def inner_archives(path: str) -> list[str]:
    """Returns the names of the archives (`*.tar`) in a tar archive, in its order.

    Raises:
      ValueError: if the archive is damaged or cut off.
    """
    with _named_errors(path), tarfile.open(path) as archive:
        names = map(_name, _entries(archive))
        return [name for name in names if name.endswith(INNER_ENDING)]


def _files(
    archive: tarfile.TarFile, entry: tarfile.TarInfo, prefix: str
) -> Iterator[Member]:
    file = archive.extractfile(entry)  # None for a folder
    name = prefix + _name(entry)
    if file is not None and name.endswith(INNER_ENDING):
        with tarfile.open(fileobj=file) as inner:
            for inner_entry in _entries(inner):
                yield from _files(inner, inner_entry, f"{name}/")
    elif file is not None:
        yield Member(name, file.read())


def _entries(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for entry in archive:
        # What has been read is kept by `tarfile`, which nobody needs.
        archive.members.clear()  # type: ignore[attr-defined]
        yield entry


def _name(entry: tarfile.TarInfo) -> str:
    return entry.name.removeprefix("./")


@contextlib.contextmanager
def _named_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"'{path}' must be a whole archive; it is damaged or cut off: {error}. "
            "Fetch it again."
        ) from error


@dataclasses.dataclass(frozen=True)
class ZipMember:
    """One file of a zip archive that has yet to be read, maybe by another process.

    Attributes:
      archive: path of the archive.
      name: name of the file in it, with folders.
    """

    archive: str
    name: str

    def __str__(self) -> str:
        """Returns the name as a path below the archive."""
        return f"{self.archive}/{self.name}"

    def read_bytes(self) -> bytes:
        """Returns what is in the file.

        Raises:
          FileNotFoundError: if there is no such file in the archive.
          ValueError: if the archive is damaged or cut off.
        """
        with _named_errors(self.archive):
            try:
                return _open_zip(self.archive, os.getpid()).read(self.name)
            except KeyError:
                raise FileNotFoundError(
                    f"There is no '{self.name}' in '{self.archive}'."
                ) from None


# By process: those that are forked would share a position in the file.
@functools.lru_cache(maxsize=8)
def _open_zip(path: str, process: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def file_or_member(root: str, name: str, archive: str) -> pathlib.Path | ZipMember:
    """Returns a file that is below a folder, unpacked or in a zip archive.

    Args:
      root: the folder.
      name: the file as "train2014/a.jpg".
      archive: the archive that has it if the folder of the file does not exist.
    """
    path = pathlib.Path(root, name)
    zipped = os.path.join(root, archive)
    if not path.parent.is_dir() and os.path.exists(zipped):
        return ZipMember(zipped, name)
    return path
