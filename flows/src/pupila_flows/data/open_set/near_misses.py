"""Near misses: images of groups that no model was trained on, none of them of the accepted class.

A folder of folders, one per group, or a CSV with the columns `path` and `group`.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

from pupila.errors import PupilaError, nearest
from pupila.layout import is_file, is_image
from pupila.openset import ALL
from pupila.paths import check_encoding, is_special

_COLUMNS = ("path", "group")
_EXPECTED = "expected a folder with a folder of images per group, or a CSV `path,group`"


def listed(path: Path) -> list[tuple[str, str]]:
    """Return file and group of every near miss; no image is opened.

    Raises:
        PupilaError: there is none, they are in no groups, a group has no image or the name that
            stands for all of them, or a folder may not be read.
    """
    if is_special(path):
        raise PupilaError(f"{str(path)!r} is a pipe or a device: {_EXPECTED}.")
    try:
        found = list(_of_folder(path) if path.is_dir() else _of_csv(path))
    except (UnicodeDecodeError, csv.Error):
        raise PupilaError(f"{str(path)!r} is no CSV in UTF-8: {_EXPECTED}.") from None
    except OSError as error:
        where = str(error.filename or path)
        raise PupilaError(f"{where!r} cannot be read: {error.strerror}.") from None
    for file, _ in found:
        check_encoding(file)
    if not found:
        raise PupilaError(f"{str(path)!r} has no images: {_EXPECTED}.")
    if any(group == ALL for _, group in found):
        raise PupilaError(
            f"{str(path)!r} has a group {ALL!r}, which is the name of all groups together: "
            f"rename it."
        )
    return found


def _of_folder(root: Path) -> Iterator[tuple[str, str]]:
    loose = [each.name for each in root.iterdir() if each.is_file() and is_image(each.name)]
    if loose:
        raise PupilaError(
            f"{len(loose)} images lie directly in {str(root)!r}, so they are of no group, first "
            f"{min(loose)!r}: put each into a folder that is named for its group."
        )
    for folder in sorted(each for each in root.iterdir() if each.is_dir()):
        if folder.name.startswith("."):
            continue
        files = sorted(each for each in _files(folder) if is_image(each.name))
        if not files:
            raise PupilaError(f"{str(folder)!r} has no image: remove the folder, or fill it.")
        yield from ((str(file.absolute()), folder.name) for file in files)


def _files(folder: Path) -> Iterator[Path]:
    """Yield all below a folder; unlike `rglob`, fail where a part of it may not be read."""
    for each in folder.iterdir():
        if each.is_file():
            yield each
        elif each.is_dir() and not each.is_symlink() and not each.name.startswith("."):
            yield from _files(each)


def _of_csv(path: Path) -> Iterator[tuple[str, str]]:
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
            f"{path}, line {line}: there is no file {name!r} in {str(path.parent)!r}; paths are "
            f"relative to the CSV."
        )
    return file, group
