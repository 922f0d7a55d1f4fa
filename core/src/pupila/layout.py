"""Reads how images are laid out in a folder or listed in a CSV manifest, without opening them.

This module does not import pandas, so that a recipe is checked in a fraction of a second.
`pupila.manifest` makes a pandas table of the same images.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from pupila.dataset import LABELLED_SPLITS, UNLABELLED
from pupila.errors import PupilaError, join_names, nearest
from pupila.image_stats import MEASURED
from pupila.paths import check_encoding

COLUMNS = ("path", "label", "split")
SPLIT_OF = {
    **{name: name for name in LABELLED_SPLITS},
    "val": "validation",
    "valid": "validation",
    UNLABELLED: UNLABELLED,
    "unlabeled": UNLABELLED,
}
LAYOUT = "train/<class>/*, validation/<class>/* and test/<class>/*"
_SPLITS = f"{', '.join(LABELLED_SPLITS)} or {UNLABELLED}"


def labels(path: Path) -> tuple[str, ...]:
    """Return the distinct labels of the images, sorted; empty if all images are unlabelled.

    The labels of a folder are the names of the class folders that contain at least one image. For a
    CSV, every line is read, but no image file is checked.

    Raises:
        PupilaError: images are missing, or not in the form that `pupila.manifest.read` expects.
        OSError: a folder or the CSV may not be read.
    """
    if path.is_dir():
        names = _labels_of_folders(path.absolute())
    elif path.is_file():
        names = {row.values["label"] for row in csv_images(path.absolute())}
    else:
        raise no_data_error(path)
    return tuple(sorted(names - {""}))


def labelled_images(path: Path, split: str) -> Iterator[dict[str, str]]:
    """Yield a dict for each image of a split: `label` and, for a CSV, the values of all columns.

    No image is opened, and image files listed in a CSV are not checked.

    Raises:
        PupilaError: images are missing, or not in the form that `pupila.manifest.read` expects.
        OSError: a folder or the CSV may not be read.
    """
    if not path.is_dir():
        yield from (
            row.values for row in csv_images(path.absolute()) if row.values["split"] == split
        )
        return
    for split_folder in split_folders(path.absolute()):
        if SPLIT_OF[split_folder.name] == split:
            for label, folder in folders_by_label(split_folder):
                yield from ({"label": label} for file in files_below(folder) if is_image(file))


def no_data_error(path: Path) -> PupilaError:
    """Return the error for a path that is neither a folder nor a file."""
    return PupilaError(
        f"No data at {str(path)!r}: expected a folder of images ({LAYOUT}) or a CSV manifest."
    )


# A folder ------------------------------------------------------------------------------------


def _labels_of_folders(root: Path) -> set[str]:
    names: set[str] = set()
    ignored = 0
    for split_folder in split_folders(root):
        for label, folder in folders_by_label(split_folder):
            if label in names:
                continue
            for file in files_below(folder):
                if is_image(file):
                    names.add(label)
                    break
                ignored += 1
    if not names:
        raise no_images_error(root, ignored)
    return names


def no_images_error(root: Path, ignored: int) -> PupilaError:
    """Return the error for a folder without images; `ignored` is the number of other files."""
    return PupilaError(
        f"No images under {str(root)!r}: its folders hold {ignored} files, none of them "
        f"with an image's suffix. Expected {LAYOUT}."
    )


def split_folders(root: Path) -> list[Path]:
    """Return the folders directly under `root`, each of which is a split.

    Raises:
        PupilaError: images or other folders lie directly under `root`, or no split folder does.
    """
    folders = folders_in(root)
    splits = [folder for folder in folders if folder.name in SPLIT_OF]
    others = [folder for folder in folders if folder.name not in SPLIT_OF]
    images = count_images(root)
    if images:
        raise PupilaError(
            f"{images} images lie directly in {str(root)!r}, so they have no split and no class. "
            f"Expected {LAYOUT}."
        )
    if not splits:
        names = ", ".join(repr(folder.name) for folder in others[:5]) or "no folders"
        raise PupilaError(
            f"{str(root)!r} has no split folders: found {names}. Expected {LAYOUT}."
            + (nearest(others[0].name, SPLIT_OF) if others else "")
        )
    if others:
        raise PupilaError(
            f"{str(others[0])!r} is not a split: expected no other folders than train, validation, "
            f"test and unlabelled.{nearest(others[0].name, SPLIT_OF)}"
        )
    return splits


def folders_by_label(split_folder: Path) -> list[tuple[str, Path]]:
    """Return a label and the folder of its images, for each class of a split.

    The split `unlabelled` counts as one class with the label "".

    Raises:
        PupilaError: images of a labelled split lie directly in the split's folder.
    """
    if SPLIT_OF[split_folder.name] == UNLABELLED:
        return [("", split_folder)]
    return [(folder.name, folder) for folder in _class_folders(split_folder)]


def _class_folders(split_folder: Path) -> list[Path]:
    images = count_images(split_folder)
    if images:
        raise PupilaError(
            f"{images} images lie directly in {str(split_folder)!r}, so they have no class. "
            f"Expected one folder per class: {split_folder.name}/<class>/*."
        )
    return folders_in(split_folder)


def folders_in(folder: Path) -> list[Path]:
    """Return the subfolders, sorted, without hidden ones such as `.git` and `.ipynb_checkpoints`.

    Raises:
        PupilaError: the path of a subfolder is not in UTF-8.
    """
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    for path in folders:
        check_encoding(str(path))
    return folders


def count_images(folder: Path) -> int:
    """Count the images directly in a folder, not those in subfolders."""
    return sum(1 for path in folder.iterdir() if is_image(path.name) and path.is_file())


def files_below(folder: Path) -> Iterator[str]:
    """Yield the paths of all files at any depth, except in hidden folders.

    Raises:
        PupilaError: the path of a file is not in UTF-8.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = (name for name in folders if not name.startswith("."))
        for name in names:
            file = os.path.join(parent, name)  # noqa: PTH118  a Path for each of many files is slow
            check_encoding(file)
            yield file


def is_image(name: str) -> bool:
    """Tell whether a file is an image, by the file's name; hidden files (`._x.jpg`) are not."""
    base = os.path.basename(name)  # noqa: PTH119  as above
    suffix = os.path.splitext(base)[1].lower()  # noqa: PTH122
    if base.startswith(".") or not suffix:
        return False
    return suffix in _COMMON or suffix in _suffixes()


_COMMON = (".jpg", ".jpeg", ".png")
"""Suffixes known without asking Pillow, which would import a module for each format."""


@cache
def _suffixes() -> frozenset[str]:
    """Return the file suffixes of all formats that Pillow can read."""
    formats = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in formats if name in Image.OPEN)


# A CSV ---------------------------------------------------------------------------------------


NO_LINE: tuple[int, list[str]] = (1, [])
"""Header row of an empty CSV: line number 1, and no fields."""


class Row(NamedTuple):
    """A line of a CSV, which lists one image."""

    line: int
    path: str
    """Path of the image as written in the CSV, relative or absolute."""
    values: dict[str, str]
    """Values by column name; here `path` is absolute, and `split` is one of `dataset.SPLITS`."""


def csv_images(path: Path) -> Iterator[Row]:
    """Yield a `Row` for each image that a CSV lists; the image files are not checked.

    Raises:
        PupilaError: the CSV is not in the form that `pupila.manifest.read` expects, lists an image
            twice, or lists no image.
    """
    rows = csv_rows(path)
    _, header = next(rows, NO_LINE)
    check_header(path, header)
    line_of: dict[str, int] = {}
    for line, row in rows:
        values = _check_values(path, line, header, row)
        name = row[header.index("path")]
        earlier = line_of.setdefault(values["path"], line)
        if earlier != line:
            raise PupilaError(
                f"{path}, line {line}: {name!r} is listed a second time, "
                f"after line {earlier}. Remove one of the two."
            )
        yield Row(line, name, values)
    if not line_of:
        raise PupilaError(f"{path} lists no image: it has a header and no rows below it.")


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the fields of each row that is not blank, the header first.

    Raises:
        PupilaError: the file is not a CSV in UTF-8.
    """
    reader = csv.reader(_lines(path), strict=True)
    try:
        for row in reader:
            if any(row):
                yield reader.line_num, row
    except csv.Error as error:
        raise PupilaError(
            f"{path}, line {reader.line_num} is not CSV: {error}. Double the quotes inside a field."
        ) from None


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                yield line.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise PupilaError(
                    f"{path}, line {number} is not UTF-8 (byte {line[error.start]:#04x}). Save "
                    f"the file as 'CSV UTF-8'."
                ) from None


def check_header(path: Path, header: Sequence[str], needed: Sequence[str] = COLUMNS) -> None:
    """Make sure that a CSV has the needed columns, no column twice, and no column that a scan adds.

    `header` has the names of the columns.

    Raises:
        PupilaError: a column is missing or repeated, or has the name of a column that a scan adds.
    """
    if not header:
        raise PupilaError(f"{path} is empty: expected a header with {', '.join(needed)}.")
    repeated = sorted(name for name, count in Counter(header).items() if count > 1)
    if repeated:
        raise PupilaError(f"{path}, line 1 has the column {repeated[0]!r} twice: remove one.")
    measured = [name for name in header if name in MEASURED]
    if measured:
        raise PupilaError(
            f"{path}, line 1 has the column {measured[0]!r}, which is measured from the files: "
            f"remove or rename it."
        )
    missing = [name for name in needed if name not in header]
    if missing:
        columns = join_names(map(repr, header))
        hint = nearest(missing[0], set(header) - set(needed))
        raise PupilaError(
            f"{path}, line 1 has no column {missing[0]!r}: found {columns}; expected "
            f"{', '.join(needed)}, separated by commas.{hint}"
        )


def _check_values(
    path: Path, line: int, header: Sequence[str], row: Sequence[str]
) -> dict[str, str]:
    """Check one row and return its values by column, with absolute path and canonical split."""
    values = by_column(path, line, header, row)
    empty = next((name for name in ("path", "split") if not values[name].strip()), None)
    if empty:
        raise PupilaError(f"{path}, line {line} has no {empty}.")
    if "\0" in values["path"]:
        raise PupilaError(f"{path}, line {line} has a null byte in its path: remove it.")
    split = SPLIT_OF.get(values["split"])
    if split is None:
        raise PupilaError(
            f"{path}, line {line}: unknown split {values['split']!r}; expected {_SPLITS}."
            f"{nearest(values['split'], SPLIT_OF)}"
        )
    label = _check_label(f"{path}, line {line}", split, values["label"])
    file = os.path.normpath(path.parent / values["path"])
    return values | {"path": file, "label": label, "split": split}


def by_column(path: Path, line: int, header: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    """Return the fields of a line of a CSV, as `{column: field}`.

    Raises:
        PupilaError: the line has more or fewer fields than the header has columns.
    """
    if len(row) != len(header):
        raise PupilaError(
            f"{path}, line {line} has {len(row)} fields: expected {len(header)}, as in line 1."
        )
    return dict(zip(header, map(sys.intern, row), strict=True))


def _check_label(line: str, split: str, label: str) -> str:
    """Check that a label fits its split; return the label, or "" in the split `unlabelled`."""
    has_label = bool(label.strip())
    if split == UNLABELLED and has_label:
        raise PupilaError(
            f"{line}: an image of the split {UNLABELLED!r} has the label {label!r}. Put it into "
            f"the split 'train', or leave its label empty."
        )
    if split != UNLABELLED and not has_label:
        raise PupilaError(
            f"{line} has no label: give one, or put the image into the split {UNLABELLED!r}."
        )
    return label if has_label else ""


def is_file(path: str) -> bool:
    """Tell whether a file exists; False if it cannot be accessed."""
    try:
        return Path(path).is_file()
    except OSError:  # the name is too long for a file, or lies in a folder that may not be read
        return False
