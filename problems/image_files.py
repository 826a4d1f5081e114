"""Folders of image files."""

import os
import pathlib
from collections.abc import Iterator

from t2t_mm import problem

EXTENSIONS = (
    ".bmp .gif .jfif .jpe .jpeg .jpg .pgm .png .pnm .ppm .tif .tiff .webp".split()
)


def class_folders(folder: str) -> list[str]:
    """Returns the names of the folders in a folder, sorted, but for hidden ones."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_dir() and not entry.name.startswith(".")
        )


def find(folder: str) -> Iterator[pathlib.Path | problem.Rejected]:
    """Yields the image files in a folder and those below it, in a fixed order.

    What does not look like an image by its name, or is hidden, is rejected.
    """
    with os.scandir(folder) as entries:
        listing = sorted(entries, key=lambda entry: entry.name)
    for entry in listing:
        if entry.is_dir():
            yield from find(entry.path)
        elif entry.name.startswith("."):
            reason = "hidden file"
            yield problem.Rejected(name=entry.path, reason=reason, harmless=True)
        elif os.path.splitext(entry.name)[1].lower() not in EXTENSIONS:
            reason = "not called like an image"
            yield problem.Rejected(name=entry.path, reason=reason, harmless=True)
        else:
            yield pathlib.Path(entry.path)
