"""Reading sound files: whatever libsndfile knows, and NIST SPHERE."""

import io
import os
import pathlib
import re
from typing import NamedTuple

import numpy as np
from etils import epy

from t2t_mm.data import sphere

with epy.lazy_imports():
    import soundfile
    import soxr

# What libsndfile notes of a WAV file whose header promises more than there is.
_PROMISED = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
# A program that writes into a pipe does not know the size, and promises any amount.
_UNKNOWN_SIZE = 0x7FFFF000

Source = pathlib.Path | bytes


class Sound(NamedTuple):
    """A recording.

    Attributes:
      waveform: float32 `[samples]`, between -1 and 1; several channels are averaged.
      sample_rate: in Hz.
    """

    waveform: np.ndarray
    sample_rate: int


def read(source: Source, *, max_seconds: float) -> Sound:
    """Reads a sound file.

    Args:
      source: its path, or its content.
      max_seconds: one that lasts longer is refused before it fills the memory.

    Raises:
      FileNotFoundError: if there is no such file, or a program that it needs.
      ValueError: if it is no sound file, damaged, or too long.
    """
    try:
        samples, sample_rate = _read(source, max_seconds)
    except soundfile.SoundFileError as error:
        reason = getattr(error, "error_string", str(error)).strip(" .")
        raise ValueError(
            "A sound file must be of a format that libsndfile knows, such as WAV, FLAC "
            f"or OGG, and whole: {reason}."
        ) from None
    # [samples, channels] -> [samples]
    return Sound(samples.mean(axis=1, dtype=np.float32), sample_rate)


def _read(source: Source, max_seconds: float) -> tuple[np.ndarray, int]:
    content = source
    start = _first_bytes(source)
    if sphere.is_sphere(start):
        header = sphere.parse_header(start)
        check_seconds(header.seconds, max_seconds)
        if not header.is_compressed:
            content = source if isinstance(source, bytes) else source.read_bytes()
            return sphere.decode(content, header), header.sample_rate
        content = sphere.decompress(source)
    with soundfile.SoundFile(
        io.BytesIO(content) if isinstance(content, bytes) else os.fspath(content)
    ) as file:
        check_seconds(file.frames / file.samplerate, max_seconds)
        samples = file.read(dtype="float32", always_2d=True)
        if len(samples) < file.frames or _is_cut_off(file.extra_info):
            raise ValueError(
                "A sound file must be as long as its header says; this one is cut off."
            )
        return samples, file.samplerate


def _is_cut_off(notes: str) -> bool:
    found = _PROMISED.search(notes)
    return found is not None and int(found[2]) < int(found[1]) < _UNKNOWN_SIZE


def _first_bytes(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source[: sphere.MAX_HEADER_SIZE]
    with open(source, "rb") as file:
        return file.read(sphere.MAX_HEADER_SIZE)


def check_seconds(seconds: float, max_seconds: float) -> None:
    """Refuses what lasts too long.

    Raises:
      ValueError: if it does.
    """
    if seconds > max_seconds:
        raise ValueError(
            f"A sound must last at most {max_seconds:g} seconds; this one is longer."
        )


def resample(waveform: np.ndarray, sample_rate: int, wanted: int) -> np.ndarray:
    """Returns a waveform at another rate, without aliases.

    Args:
      waveform: float32 `[samples]`.
      sample_rate: its rate in Hz.
      wanted: the other in Hz.
    """
    if sample_rate == wanted:
        return waveform
    return soxr.resample(waveform, sample_rate, wanted)
