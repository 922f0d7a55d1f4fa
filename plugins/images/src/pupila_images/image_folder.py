"""Reads a folder as Hugging Face publishes it: images beside `metadata.csv` or `metadata.jsonl`.

The format is that of `ImageFolder` in the package `datasets`, which is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from pupila import DataSource, ListedImage, PupilaError
from pupila.csv_files import NO_LINE, by_column, csv_rows
from pupila.image_stats import MEASURED
from pupila_images.config import ImageFolder
from pupila_images.recognise import metadata_files, visible_files

_FILE = "file_name"


class _Row(NamedTuple):
    file: Path
    """The metadata."""
    line: int
    values: Mapping[str, str]


def read(source: DataSource[ImageFolder]) -> Iterator[ListedImage]:
    """List the images of all metadata; the folder of the metadata is the split.

    Metadata in the folder itself may have a column `split`; without one, images are in `train`.
    Columns that only some metadata have are empty elsewhere. Files that no metadata list are
    counted as left out.

    Raises:
        PupilaError: a line is not of this form.
    """
    rows = [row for file in metadata_files(source.path) for row in _rows(file)]
    columns = {name: "" for row in rows for name in row.values}
    unlisted = {*visible_files(source.path)} - {row.file for row in rows}
    for file, line, values in rows:
        origin = f"{file.relative_to(source.path)}, line {line}"
        if not values.get(_FILE, "").strip():
            raise PupilaError(f"{source.path}, {origin} has no {_FILE}.")
        split = "train" if file.parent == source.path else file.parent.name
        given = {name: value for name, value in values.items() if value}
        named = _named(source, file, {**columns, "split": split, **given})
        unlisted.discard(Path(named["path"]))
        yield ListedImage(origin, named)
    for other in unlisted:
        source.leave_out(str(other))


def _named(
    source: DataSource[ImageFolder], file: Path, values: Mapping[str, str]
) -> dict[str, str]:
    """Return the values of an image by the names that a manifest has."""
    renamed = {source.config.label: "label", _FILE: "path"}
    named = {
        renamed.get(name, name): value
        for name, value in values.items()
        if name not in (*MEASURED, "path") and (name in renamed or name not in renamed.values())
    }
    return named | {"path": str(file.parent / values[_FILE])}


def _rows(file: Path) -> Iterator[_Row]:
    lines = _jsonl(file) if file.suffix == ".jsonl" else _csv(file)
    for line, values in lines:
        yield _Row(file, line, values)


def _csv(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    lines = csv_rows(file)
    _, header = next(lines, NO_LINE)
    yield from ((line, by_column(file, line, header, row)) for line, row in lines)


def _jsonl(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    with file.open("rb") as stream:
        for line, text in enumerate(stream, start=1):
            if text.strip():
                yield line, {name: _text(value) for name, value in _object(file, line, text)}


def _object(file: Path, line: int, text: bytes) -> list[tuple[str, Any]]:
    try:
        value = json.loads(text)
    except ValueError as error:  # not UTF-8 either
        raise PupilaError(f"{file}, line {line} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise PupilaError(f"{file}, line {line} is not an object: expected {{{_FILE!r}: …}}.")
    return list(cast("dict[str, Any]", value).items())


def _text(value: Any) -> str:
    """Return a JSON value as a column of a manifest has it; lists and objects stay JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
