"""TFRecord files of tf.train.Example messages of others, read without TensorFlow."""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from t2t_mm.data import tfrecord

# Wire types of protocol buffers.
_VARINT = 0
_FIXED64 = 1
_BYTES = 2
_FIXED32 = 5

_BYTES_LIST = 1  # fields of tf.train.Feature
_FLOAT_LIST = 2
_INT64_LIST = 3
_INT64_SIGN = 1 << 63


def payloads(path: str) -> Iterator[bytes]:
    """Yields the records of an uncompressed TFRecord file, one in memory at a time.

    Raises:
      ValueError: if the file is damaged or cut off.
    """
    position = 0
    with open(path, "rb") as file:
        while header := file.read(tfrecord.HEADER_BYTES):
            try:
                yield tfrecord.unframe(header + _rest(header, file))
            except ValueError as error:
                raise ValueError(
                    f"'{path}' must be a whole TFRecord file; it is damaged at byte "
                    f"{position}: {error}"
                ) from error
            position = file.tell()


def _rest(header: bytes, file: Any) -> bytes:
    if len(header) < tfrecord.HEADER_BYTES:
        return b""
    size, checksum = struct.unpack("<QI", header)
    if checksum != tfrecord.masked_crc32c(header[:8]):
        # Before so many bytes are asked for.
        raise ValueError("The checksum of a record's size is wrong.")
    return file.read(size + tfrecord.FOOTER_BYTES)


def decode_example(payload: bytes) -> dict[str, list[Any]]:
    """Returns the features of a serialized tf.train.Example: bytes, floats or ints.

    Raises:
      ValueError: if it is none.
    """
    try:
        return {
            name: values
            for _, features in _fields(payload)
            for _, entry in _fields(features)
            for name, values in [_entry(entry)]
        }
    except (IndexError, KeyError, TypeError, struct.error) as error:
        raise ValueError(f"It is no tf.train.Example: {error!r}.") from error


def _entry(message: bytes) -> tuple[str, list[Any]]:
    fields = dict(_fields(message))  # 1: name, 2: feature
    return fields[1].decode(), [
        value
        for kind, values in _fields(fields.get(2, b""))
        for _, value_or_packed in _fields(values)
        for value in _unpacked(kind, value_or_packed)
    ]


def _unpacked(kind: int, value: Any) -> list[Any]:
    if kind == _BYTES_LIST:
        return [value]
    if kind == _FLOAT_LIST:  # one of four bytes, or many of them
        return np.frombuffer(value, "<f4").tolist()
    if not isinstance(value, bytes):
        return [_signed(value)]
    numbers, position = [], 0
    while position < len(value):
        number, position = _varint(value, position)
        numbers.append(_signed(number))
    return numbers


def _signed(number: int) -> int:
    return number - 2 * _INT64_SIGN if number >= _INT64_SIGN else number


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yields the number and the value of each field: an int, or bytes."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == _VARINT:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, position = _varint(message, position)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}[kind]
        content = message[position : position + size]
        position += size
        if len(content) < size:
            raise IndexError(f"{size - len(content)} bytes are missing")
        yield tag >> 3, content


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """Returns a number and where it ends."""
    number = shift = 0
    while True:
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
