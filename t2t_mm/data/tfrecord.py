"""TFRecord files of tf.train.Example messages, made without TensorFlow.

A record on disk is: its size (uint64), the masked CRC-32C of those 8 bytes (uint32),
the payload, and the masked CRC-32C of the payload (uint32), all little-endian.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import google_crc32c
import numpy as np

HEADER_BYTES = 12
FOOTER_BYTES = 4

_MASK_DELTA = 0xA282EAD8
_UINT32 = 0xFFFFFFFF

# Protocol buffer tags: field number << 3 | wire type 2 (length-delimited).
_FIELD_1 = b"\x0a"
_FIELD_2 = b"\x12"
_BYTES_LIST = b"\x0a"  # field 1 of tf.train.Feature
_FLOAT_LIST = b"\x12"  # field 2
_INT64_LIST = b"\x1a"  # field 3

_TYPES: dict[str, tuple[type, ...]] = {
    "int64": (int, np.integer),
    "float32": (float, np.floating),
    "string": (bytes,),
}


def encode_example(features: Mapping[str, Sequence[Any]]) -> bytes:
    """Returns a serialized tf.train.Example.

    Args:
      features: lists of ints, floats or bytes by name; a list has one type.

    Raises:
      ValueError: for an empty list, or a value of another type.
    """
    entries = b"".join(
        _message(
            _FIELD_1,
            _message(_FIELD_1, name.encode())
            + _message(_FIELD_2, _feature(name, values)),
        )
        for name, values in sorted(features.items())
    )
    return _message(_FIELD_1, entries)


def value_type(name: str, values: Sequence[Any]) -> str:
    """Returns the type of a record's feature: "int64", "float32" or "string" (bytes).

    Raises:
      ValueError: for an empty list, or values of another type.
    """
    if not len(values):
        raise ValueError(f"A record must have values for '{name}'; got an empty list.")
    for kind, types in _TYPES.items():
        if isinstance(values[0], types):
            return kind
    raise ValueError(
        f"The values of '{name}' in a record must be ints, floats or bytes; got "
        f"{type(values[0]).__name__}."
    )


def _feature(name: str, values: Sequence[Any]) -> bytes:
    kind = value_type(name, values)
    if kind == "string":
        return _message(_BYTES_LIST, b"".join(_message(_FIELD_1, v) for v in values))
    if kind == "int64":
        return _message(_INT64_LIST, _message(_FIELD_1, _varints(values)))
    packed = np.asarray(values, "<f4").tobytes()
    return _message(_FLOAT_LIST, _message(_FIELD_1, packed))


def _message(tag: bytes, content: bytes) -> bytes:
    return tag + _varint(len(content)) + content


def _varints(values: Sequence[int]) -> bytes:
    if 0 <= min(values) and max(values) < len(_SHORT_VARINTS):  # most ids: quicker
        return b"".join([_SHORT_VARINTS[value] for value in values])
    return b"".join(map(_varint, values))


def _varint(value: int) -> bytes:
    value = int(value)
    if 0 <= value < len(_SHORT_VARINTS):
        return _SHORT_VARINTS[value]
    return _long_varint(value & 0xFFFFFFFFFFFFFFFF)  # negative: two's complement


def _long_varint(value: int) -> bytes:
    septets = bytearray()
    while value > 0x7F:
        septets.append(value & 0x7F | 0x80)
        value >>= 7
    septets.append(value)
    return bytes(septets)


_SHORT_VARINTS = tuple(_long_varint(value) for value in range(2**14))


def masked_crc32c(content: bytes) -> int:
    """Returns the CRC-32C of `content` as TFRecord stores it."""
    crc = google_crc32c.value(content)
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & _UINT32


def frame(payload: bytes) -> bytes:
    """Returns a payload as it stands in a TFRecord file."""
    size = struct.pack("<Q", len(payload))
    return b"".join(
        (
            size,
            struct.pack("<I", masked_crc32c(size)),
            payload,
            struct.pack("<I", masked_crc32c(payload)),
        )
    )


def framed_bytes(payload_size: Any) -> Any:
    """Returns how many bytes payloads of a size, or an array of sizes, take."""
    return HEADER_BYTES + payload_size + FOOTER_BYTES


def unframe(framed: bytes) -> bytes:
    """Returns the payload of one framed record.

    Raises:
      ValueError: if the record is incomplete or a checksum is wrong.
    """
    payload = framed[HEADER_BYTES:-FOOTER_BYTES]
    if len(framed) < HEADER_BYTES + FOOTER_BYTES:
        raise ValueError(f"A record must have 16 bytes or more; got {len(framed)}.")
    size, size_crc = struct.unpack_from("<QI", framed)
    (payload_crc,) = struct.unpack_from("<I", framed, len(framed) - FOOTER_BYTES)
    if size != len(payload) or size_crc != masked_crc32c(framed[:8]):
        raise ValueError(
            f"A record must have {len(payload)} bytes; its header says {size}, or is "
            "damaged."
        )
    if payload_crc != masked_crc32c(payload):
        raise ValueError(
            f"The checksum of a record must be {payload_crc:#010x}; its content gives "
            f"{masked_crc32c(payload):#010x}."
        )
    return payload
