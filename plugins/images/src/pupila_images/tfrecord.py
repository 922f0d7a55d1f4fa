"""Reads TFRecord files of `tf.train.Example`s, without TensorFlow.

A record is its length (8 bytes), a checksum (4), the data and a checksum (4); the format is in
TensorFlow's documentation of TFRecord. The data is a protocol buffer, `example.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from pupila import DataSource, ListedImage, PupilaError
from pupila_images.config import TFRecords
from pupila_images.recognise import tfrecord_files

_IMAGES = ("image/encoded", "image_raw", "image")
_LABELS = ("image/class/text", "label", "image/class/label")
_SPLITS = {"train": "train", "val": "validation", "test": "test"}
"""Split by the beginning of a file's name."""
_SUFFIXES = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"RIFF": ".webp",
}
_MOST_BYTES = 1 << 30
"""Largest record; a longer one is a file that is not TFRecord."""

Feature = list[bytes] | list[float] | list[int]


def read(source: DataSource[TFRecords]) -> Iterator[ListedImage]:
    """List the images of all records, each written as a file of its own.

    A file's name begins with its split: `train`, `val` or `test`.

    Raises:
        PupilaError: a file is not TFRecord or has no split, or a record lacks a feature.
    """
    for file in tfrecord_files(source.path):
        split = next((_SPLITS[name] for name in _SPLITS if file.name.startswith(name)), None)
        if split is None:
            raise PupilaError(
                f"{str(file)!r} has no split: begin its name with {', '.join(_SPLITS)}, as in "
                f"`train-00000-of-00004.tfrecord`."
            )
        for number, record in enumerate(records(file), start=1):
            origin = f"{file.name}, record {number}"
            yield ListedImage(origin, _values(source, origin, record) | {"split": split})


def _values(source: DataSource[TFRecords], origin: str, record: bytes) -> dict[str, str]:
    try:
        features = parse(record)
    except (IndexError, ValueError, struct.error):
        raise PupilaError(f"{source.path}, {origin} is not a tf.train.Example.") from None
    image = _feature(source, origin, features, source.config.image, _IMAGES)
    content = image[0] if image else b""
    suffix = next((end for start, end in _SUFFIXES.items() if _begins(content, start)), None)
    if not isinstance(content, bytes) or suffix is None:
        raise PupilaError(
            f"{source.path}, {origin}: its image is not encoded as JPEG, PNG, GIF, BMP or WebP."
        )
    label = _feature(source, origin, features, source.config.label, _LABELS)
    others = {name: _feature(source, origin, features, name, ()) for name in source.config.columns}
    texts = {name: _text(feature) for name, feature in {**others, "label": label}.items()}
    return {"path": source.write_image(content, suffix), **texts}


def _begins(content: bytes | float | int, start: bytes) -> bool:
    return isinstance(content, bytes) and content.startswith(start)


def _feature(
    source: DataSource[TFRecords],
    origin: str,
    features: Mapping[str, Feature],
    name: str | None,
    usual: tuple[str, ...],
) -> Feature:
    """Return a feature by its name, or else the first of the usual names that is there."""
    names = (name,) if name else usual
    known = next((known for known in names if known in features), None)
    if known is None:
        raise PupilaError(
            f"{source.path}, {origin} has no feature {' or '.join(map(repr, names))}: it has "
            f"{', '.join(sorted(features))}. Name the one to use in the settings of the reader."
        )
    return features[known]


def _text(feature: Feature) -> str:
    return " ".join(
        value.decode("utf-8", "replace") if isinstance(value, bytes) else f"{value:g}"
        for value in feature
    )


def records(file: Path) -> Iterator[bytes]:
    """Yield the records of a TFRecord file.

    Raises:
        PupilaError: it is not one, or ends within a record.
    """
    with file.open("rb") as stream:
        while head := stream.read(12):
            length = int.from_bytes(head[:8], "little")
            data = stream.read(length) if len(head) == 12 and length <= _MOST_BYTES else b""
            if len(data) < max(length, 1) or len(stream.read(4)) < 4:
                raise PupilaError(
                    f"{str(file)!r} is not a whole TFRecord file: copy it again; compressed files "
                    f"are not read."
                )
            yield data


def parse(record: bytes) -> dict[str, Feature]:
    """Return the features of a `tf.train.Example` by name."""
    features: dict[str, Feature] = {}
    for _, content in _fields(record, 1):
        for _, entry in _fields(content, 1):
            parts = dict(_fields(entry))
            features[parts[1].decode()] = _feature_values(parts.get(2, b""))
    return features


def _feature_values(feature: bytes) -> Feature:
    for kind, content in _fields(feature):
        if kind == 1:
            return [value for _, value in _fields(content, 1)]
        if kind == 2:
            packed = b"".join(value for _, value in _fields(content, 1))
            return list(struct.unpack(f"<{len(packed) // 4}f", packed))
        return [number for _, value in _fields(content, 1) for number in _numbers(value)]
    return list[bytes]()


def _numbers(packed: bytes) -> Iterator[int]:
    at = 0
    while at < len(packed):
        number, at = _varint(packed, at)
        yield number - (1 << 64) if number >= 1 << 63 else number


def _fields(message: bytes, only: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of the fields of a message, or only of those of one number.

    Raises:
        ValueError: it is not a message.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        start = at
        if kind == 0:
            _, at = _varint(message, at)
        elif kind == 2:
            length, start = _varint(message, at)
            at = start + length
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        else:
            raise ValueError(f"no wire type {kind}")
        if at > len(message):
            raise ValueError("it ends within a field")
        if only in (None, number):
            yield number, message[start:at]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at a position, and the position after it."""
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
