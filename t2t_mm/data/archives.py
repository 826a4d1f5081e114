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


class Member(NamedTuple):
    """One file of an archive.

    Attributes:
      name: its name in the archive, with folders.
      content: its bytes.
    """

    name: str
    content: bytes


def tar_members(path: str) -> Iterator[Member]:
    """Yields the files of a tar archive, compressed or not, in its order.

    An archive in the archive (`*.tar`) is opened too, and its files are yielded as
    "inner.tar/name". At most one file is in memory.

    Raises:
      ValueError: if the archive is damaged or cut off.
    """
    with _named_errors(path), tarfile.open(path) as archive:
        yield from _members(archive, "")


def _members(archive: tarfile.TarFile, prefix: str) -> Iterator[Member]:
    for entry in archive:
        # What has been read is kept by `tarfile`, which nobody needs.
        archive.members.clear()  # type: ignore[attr-defined]
        file = archive.extractfile(entry)  # None for a folder
        name = prefix + entry.name.removeprefix("./")
        if file is None:
            continue
        if name.endswith(".tar"):
            with tarfile.open(fileobj=file) as inner:
                yield from _members(inner, f"{name}/")
        else:
            yield Member(name, file.read())


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
