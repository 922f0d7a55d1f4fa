"""Reads a folder of DICOM files whose labels are in a CSV, by file name or SOP instance."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from pydicom.errors import InvalidDicomError

from pupila import DataSource, ListedImage, PupilaError
from pupila.csv_files import NO_LINE, by_column, csv_rows
from pupila_images.config import DicomFolder
from pupila_images.recognise import visible_files

_BY_NAME, _BY_INSTANCE = "file_name", "sop_instance_uid"


def read(source: DataSource[DicomFolder]) -> Iterator[ListedImage]:
    """List the images that the CSV has, with its other columns.

    A file in the folder that the CSV does not list is counted as left out.

    Raises:
        PupilaError: the CSV is not of this form, or lists a file that is not there.
    """
    listing = source.path / source.config.labels
    if not listing.is_file():
        raise PupilaError(f"{str(listing)!r} does not exist: name the CSV of labels as `labels`.")
    lines = csv_rows(listing)
    _, header = next(lines, NO_LINE)
    key = next((name for name in (_BY_INSTANCE, _BY_NAME) if name in header), None)
    if key is None:
        raise PupilaError(
            f"{listing}, line 1 has neither the column {_BY_NAME!r} nor {_BY_INSTANCE!r}: one of "
            f"them says which file a label is of."
        )
    files = {_key(file, key, source.path): file for file in visible_files(source.path)}
    files.pop(_key(listing, key, source.path), None)
    for line, row in lines:
        values = by_column(listing, line, header, row)
        file = files.pop(values[key].strip(), None)
        if file is None:
            raise PupilaError(
                f"{listing}, line {line}: no file below {str(source.path)!r} has the {key} "
                f"{values[key]!r}."
            )
        others = {name: value for name, value in values.items() if name not in (key, "path")}
        yield ListedImage(f"{listing.name}, line {line}", {"path": str(file), **others})
    for file in files.values():
        source.leave_out(str(file))


def _key(file: Path, column: str, root: Path) -> str:
    """Return what a CSV calls a file: its path below the folder, or its SOP instance."""
    if column == _BY_NAME:
        return file.relative_to(root).as_posix()
    dcmread = import_module("pydicom").dcmread
    try:
        header = dcmread(file, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
    except InvalidDicomError:
        return file.name
    return str(header.get("SOPInstanceUID", file.name))
