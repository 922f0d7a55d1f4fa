"""Near misses: images of groups that no model was trained on, none of them of the accepted class.

A folder of folders, one per group, or a CSV with the columns `path` and `group`.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from PIL import Image

from pupila.errors import PupilaError, nearest

_COLUMNS = ("path", "group")
_EXPECTED = "expected a folder with a folder of images per group, or a CSV `path,group`"


def listed(path: Path) -> list[tuple[str, str]]:
    """Return file and group of every near miss; no image is opened.

    Raises:
        PupilaError: there is none, they are in no groups, or a group has no image.
    """
    try:
        found = list(_of_folder(path) if path.is_dir() else _of_csv(path))
    except (UnicodeDecodeError, csv.Error):
        raise PupilaError(f"{str(path)!r} is no CSV in UTF-8: {_EXPECTED}.") from None
    if not found:
        raise PupilaError(f"{str(path)!r} has no images: {_EXPECTED}.")
    return found


def _of_folder(root: Path) -> Iterator[tuple[str, str]]:
    loose = [each.name for each in root.iterdir() if each.is_file() and _is_image(each.name)]
    if loose:
        raise PupilaError(
            f"{len(loose)} images lie directly in {str(root)!r}, so they are of no group, first "
            f"{min(loose)!r}: put each into a folder that is named for its group."
        )
    for folder in sorted(each for each in root.iterdir() if each.is_dir()):
        if folder.name.startswith("."):
            continue
        files = sorted(each for each in folder.rglob("*") if _is_image(each.name))
        if not files:
            raise PupilaError(f"{str(folder)!r} has no image: remove the folder, or fill it.")
        yield from ((str(file.absolute()), folder.name) for file in files)


def _of_csv(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        header = reader.fieldnames or ()
        for name in _COLUMNS:
            if name not in header:
                hint = nearest(name, header)
                raise PupilaError(f"{path}, line 1 has no column {name!r}: {_EXPECTED}.{hint}")
        for row in reader:
            yield _of_row(path, reader.line_num, row["path"] or "", row["group"] or "")


def _of_row(path: Path, line: int, name: str, group: str) -> tuple[str, str]:
    file = path.parent.absolute() / name
    if not group.strip():
        raise PupilaError(f"{path}, line {line}: {name!r} has no group: name one.")
    if not file.is_file():
        raise PupilaError(
            f"{path}, line {line}: there is no file {name!r} in {str(path.parent)!r}; paths are "
            f"relative to the CSV."
        )
    return os.path.normpath(file), group


def _is_image(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in _suffixes()


@cache
def _suffixes() -> frozenset[str]:
    formats = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in formats if name in Image.OPEN)
