"""Recognises ONNX files by their content: a protobuf that begins as a `ModelProto` does."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_VARINT, _BYTES = 0, 2
"""Types of a field in a protobuf: a number, and a length with as many bytes."""
_IR_VERSION, _GRAPH = 1, 7
_TYPES = {
    **dict.fromkeys((_IR_VERSION, 5), _VARINT),  # 5: model version
    **dict.fromkeys((2, 3, 4, 6, _GRAPH, 8, 14, 20, 25, 26), _BYTES),
}
"""Type of each field of `ModelProto`, by number."""
_LATEST_IR = 31
"""Highest version of the format that is recognised; in 2026 it is 13."""
_MOST_FIELDS = 1000
"""Most fields before the graph; models have about ten."""
_MOST_VARINT_BYTES = 10


def is_onnx(source: Path) -> bool:
    """Return whether a file is an ONNX model, whatever its name: its first fields up to its graph.

    ONNX has no magic bytes. A model without its version in front, which no exporter writes, is not
    recognised.
    """
    if not source.is_file():
        return False
    size = source.stat().st_size
    with source.open("rb") as stream:
        return _begins_as_model(stream, size)


def _begins_as_model(stream: BinaryIO, size: int) -> bool:
    for position in range(_MOST_FIELDS):
        tag = _read_varint(stream)
        if tag is None or _TYPES.get(tag >> 3) != tag & 7:
            return False
        if (tag >> 3 == _IR_VERSION) != (position == 0):
            return False
        if tag >> 3 == _GRAPH:
            return True
        value = _read_varint(stream)
        if value is None or (position == 0 and not 1 <= value <= _LATEST_IR):
            return False
        if tag & 7 == _BYTES:
            if value > size - stream.tell():
                return False
            stream.seek(value, 1)
    return False


def _read_varint(stream: BinaryIO) -> int | None:
    """Read a number of seven bits a byte; None where the file ends or the number has no end."""
    value = 0
    for index in range(_MOST_VARINT_BYTES):
        byte = stream.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << (7 * index)
        if byte[0] < 0x80:
            return value
    return None
