"""Lists near misses: images outside the accepted class, in groups that no model was trained on.

Near misses are in a folder with a folder per group, or are listed in a CSV `path,group`.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from pupila.errors import PupilaError, nearest
from pupila.image_formats import is_image
from pupila.openset import ALL
from pupila.paths import check_encoding, is_file, is_special, slash_hint

_COLUMNS = ("path", "group")
_EXPECTED = "expected a folder with a folder of images per group, or a CSV `path,group`"


def list_near_misses(path: Path) -> list[tuple[str, str]]:
    """Return file and group of every near miss; no image is opened.

    Raises:
        PupilaError: there are no near misses, an image has no group, a group has no images or a
            reserved name, or a file or folder cannot be read.
    """
    if is_special(path):
        raise PupilaError(f"{str(path)!r} is a pipe or a device: {_EXPECTED}.")
    try:
        images = list(_list_folder(path) if path.is_dir() else _list_csv(path))
    except (UnicodeDecodeError, csv.Error):
        raise PupilaError(f"{str(path)!r} is not a CSV in UTF-8: {_EXPECTED}.") from None
    except OSError as error:
        where = str(error.filename or path)
        raise PupilaError(f"{where!r} cannot be read: {error.strerror}.") from None
    for file, _ in images:
        check_encoding(file)
    if not images:
        raise PupilaError(f"{str(path)!r} has no images: {_EXPECTED}.")
    if any(group == ALL for _, group in images):
        raise PupilaError(
            f"{str(path)!r} has a group {ALL!r}, which is the name of all groups together: "
            f"rename it."
        )
    return images


def _list_folder(root: Path) -> Iterator[tuple[str, str]]:
    loose = [file.name for file in root.iterdir() if file.is_file() and is_image(str(file))]
    if loose:
        raise PupilaError(
            f"{len(loose)} images lie directly in {str(root)!r}, so they have no group, first "
            f"{min(loose)!r}: put each into a folder that is named for its group."
        )
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir()):
        if folder.name.startswith("."):
            continue
        files = sorted(file for file in _files_below(folder) if is_image(str(file)))
        if not files:
            raise PupilaError(f"{str(folder)!r} has no image: remove the folder, or fill it.")
        yield from ((str(file.absolute()), folder.name) for file in files)


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder; unlike `rglob`, raise if a folder cannot be read."""
    for entry in folder.iterdir():
        if entry.is_file():
            yield entry
        elif entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
            yield from _files_below(entry)


def _list_csv(path: Path) -> Iterator[tuple[str, str]]:
    line_of: dict[str, int] = {}
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        header = reader.fieldnames or ()
        for name in _COLUMNS:
            if name not in header:
                hint = nearest(name, header)
                raise PupilaError(f"{path}, line 1 has no column {name!r}: {_EXPECTED}.{hint}")
        for row in reader:
            line, name = reader.line_num, row["path"] or ""
            file, group = _of_row(path, line, name, row["group"] or "")
            earlier = line_of.setdefault(file, line)
            if earlier != line:
                raise PupilaError(
                    f"{path}, line {line}: {name!r} is listed a second time, after line {earlier}. "
                    f"Remove one of the two."
                )
            yield file, group


def _of_row(path: Path, line: int, name: str, group: str) -> tuple[str, str]:
    file = os.path.normpath(path.parent.absolute() / name)
    if not group.strip():
        raise PupilaError(f"{path}, line {line}: {name!r} has no group: name one.")
    if not is_file(file):
        raise PupilaError(
            f"{path}, line {line}: {name!r} does not exist in {str(path.parent)!r}; paths are "
            f"relative to the CSV.{slash_hint(name)}"
        )
    return file, group
