"""NIST SPHERE, the sound files of the Linguistic Data Consortium.

A header of lines of text, 1,024 bytes as a rule, then samples. Plain samples and mu-law
are read here. Many corpora are compressed with "shorten"; these need an external
program.
"""

import pathlib
import shutil
import tempfile
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from t2t_mm.data import programs

MAGIC = b"NIST_1A\n"
MAX_HEADER_SIZE = 1 << 16

# Programs that decompress, and how they are asked to write WAV to standard output.
FILE = "{}"  # in a command, the path of the file
DECOMPRESSORS = {
    "sph2pipe": ("sph2pipe", "-p", "-f", "wav", FILE),
    "ffmpeg": ("ffmpeg", "-nostdin", "-v", "error", "-i", FILE, "-f", "wav", "-"),
}

_SHORTEN_MAGIC = b"ajkg"
_FIRST_LINES = 16  # bytes: the magic, and the size of the header in a line of 8
_CODINGS = ("pcm", "ulaw", "mu-law")
_SAMPLE_TYPES = {("01", 2): "<i2", ("10", 2): ">i2", ("1", 1): "i1"}

Value = int | float | str


class Header(NamedTuple):
    """What a file says about itself.

    Attributes:
      size: where the samples begin, in bytes.
      fields: the values by name, such as "sample_rate".
      is_compressed: whether an external program is needed.
    """

    size: int
    fields: Mapping[str, Value]
    is_compressed: bool

    @property
    def coding(self) -> str:
        """How samples are coded, such as "pcm" or "pcm,embedded-shorten-v2.00"."""
        return str(self.fields.get("sample_coding", "pcm")).lower()

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return int(self.fields.get("sample_rate", 16000))

    @property
    def seconds(self) -> float:
        """How long the sound is; 0 if the header does not say."""
        return int(self.fields.get("sample_count", 0)) / self.sample_rate


def is_sphere(content: bytes) -> bool:
    """Returns whether a file begins as SPHERE files do."""
    return content.startswith(MAGIC)


def parse_header(content: bytes) -> Header:
    r"""Returns the header that a file begins with.

    Its lines are `NIST_1A`, the size of the header, then `name -i 16000`,
    `name -r 0.5` or `name -s3 pcm` with the length of the string, and `end_head`.

    Raises:
      ValueError: if it is damaged.
    """
    try:
        size = int(content[len(MAGIC) : _FIRST_LINES])
        lines = content[_FIRST_LINES:size].decode("ascii", "replace").split("\n")
        end = [line.strip() for line in lines].index("end_head")
        lines = [line for line in lines[:end] if line.strip() and line[0] != ";"]
        fields = dict(map(_parse_line, lines))
    except ValueError as error:
        raise ValueError(f"A SPHERE header must be whole: {error}.") from None
    # Some files do not say that they are compressed.
    is_compressed = "," in str(fields.get("sample_coding", ""))
    is_compressed |= content[size:].startswith(_SHORTEN_MAGIC)
    return Header(size, fields, is_compressed)


def _parse_line(line: str) -> tuple[str, Value]:
    name, kind, value = (*line.split(maxsplit=2), "", "")[:3]
    return name, _parse_value(kind, value)


def _parse_value(kind: str, value: str) -> Value:
    if kind == "-i":
        return int(value)
    if kind == "-r":
        return float(value)
    if not kind.startswith("-s"):
        raise ValueError(f"'{kind}' is no type of a value")
    return value[: int(kind[2:])]


def decode(content: bytes, header: Header) -> np.ndarray:
    """Returns the samples of a file that is not compressed.

    Returns:
      Float32 `[samples, channels]` between -1 and 1.

    Raises:
      ValueError: if they are coded in a way that is not known here, or cut off.
    """
    fields = header.fields
    if header.coding not in _CODINGS:
        raise ValueError(
            f"`sample_coding` of a SPHERE file must be one of {', '.join(_CODINGS)}, "
            f"or compressed PCM; got '{header.coding}'."
        )
    channels = int(fields.get("channel_count", 1))
    samples = _decode_samples(content[header.size :], header)
    count = int(fields.get("sample_count", len(samples) // channels))
    if len(samples) < count * channels:
        raise ValueError(
            "A SPHERE file must have as many samples as its header says; this one is "
            "cut off."
        )
    return samples[: count * channels].reshape(count, channels)


def _decode_samples(content: bytes, header: Header) -> np.ndarray:
    if header.coding != "pcm":
        return mu_law_to_linear(np.frombuffer(content, np.uint8))
    size = int(header.fields.get("sample_n_bytes", 2))
    order = str(header.fields.get("sample_byte_format", "01" if size == 2 else "1"))
    if (order, size) not in _SAMPLE_TYPES:
        raise ValueError(
            "Samples of a SPHERE file must be of 2 bytes in the order 01 or 10, or of "
            f"1 byte; got {size} bytes in the order {order}."
        )
    dtype = np.dtype(_SAMPLE_TYPES[order, size])
    whole = len(content) // size * size
    values = np.frombuffer(content[:whole], dtype).astype(np.float32)
    return values / np.float32(2 ** (8 * size - 1))


def mu_law_to_linear(codes: np.ndarray) -> np.ndarray:
    """Returns 8-bit mu-law (ITU-T G.711) as float32 between -1 and 1."""
    inverted = ~codes
    exponent = (inverted >> 4) & 7
    mantissa = (inverted & 15).astype(np.int32)
    # The 33 that the coder added, in steps of 4 as 14-bit numbers go to 16 bits.
    magnitude = (((mantissa << 1) + 33) << exponent) - 33
    linear = np.where(inverted & 128, -magnitude, magnitude) * 4
    return linear.astype(np.float32) / np.float32(2**15)


def decompressor() -> str:
    """Returns the first of `DECOMPRESSORS` that is installed.

    Raises:
      FileNotFoundError: if none is; says how to get one.
    """
    program = next(filter(shutil.which, DECOMPRESSORS), None)
    if program is None:
        raise FileNotFoundError(
            "SPHERE files that are compressed with shorten need the program "
            f"{' or '.join(DECOMPRESSORS)} on the PATH; neither is there. Install one: "
            "apt-get install ffmpeg, or build sph2pipe, which the Linguistic Data "
            "Consortium gives away."
        )
    return program


def decompress(source: pathlib.Path | bytes) -> bytes:
    """Returns a compressed file, given by its path or content, as a WAV file.

    Raises:
      FileNotFoundError: if there is no program that can do it.
      ValueError: if the program fails.
    """
    if isinstance(source, bytes):
        with tempfile.NamedTemporaryFile(suffix=".sph") as file:
            file.write(source)
            file.flush()
            return decompress(pathlib.Path(file.name))
    program = decompressor()
    command = [str(source) if p == FILE else p for p in DECOMPRESSORS[program]]
    try:
        content = programs.run(command)
    except ValueError as error:
        reason = str(error).replace(str(source), "FILE")
        raise ValueError(
            f"A sound cannot be decompressed by {program}: {reason}."
        ) from None
    if not content:
        raise ValueError(
            f"A sound cannot be decompressed by {program}: it wrote nothing."
        )
    return content
