"""Reads how images are laid out in a folder or listed in a CSV manifest, without opening them.

This module does not import pandas, so that a recipe is checked in a fraction of a second.
`pupila.manifest` makes a pandas table of the same images.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pupila.csv_files import NO_LINE, by_column, check_header, csv_rows, list_once
from pupila.dataset import LABELLED_SPLITS, UNLABELLED
from pupila.errors import PupilaError, nearest
from pupila.image_formats import count_by_suffix, count_left_out, is_image
from pupila.label_columns import (
    LabelColumns,
    advise_task,
    check_takes_folders,
    measured_columns,
    names_of,
)
from pupila.paths import check_encoding
from pupila.plugin import CLASSIFICATION
from pupila.plugin_registry import installed

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


Classes = Sequence[str] | None
"""Names of classes or, in other tasks, of what the labels are about; None if they are not given."""


def labels(path: Path, task: str = CLASSIFICATION, classes: Classes = None) -> tuple[str, ...]:
    """Return the distinct labels of the images, sorted; empty if all images are unlabelled.

    The labels of a folder are the names of the class folders that contain at least one image. For a
    CSV, every line is read, but no image file is checked. `task` and `classes` say which columns
    have the label.

    Raises:
        PupilaError: images are missing, or not in the form that `pupila.manifest.read` expects.
        OSError: a folder or the CSV may not be read.
    """
    if path.is_dir():
        check_takes_folders(path, task)
        names = _labels_of_folders(path.absolute())
    elif path.is_file():
        names = {row.values["label"] for row in csv_images(path.absolute(), task, classes)}
    else:
        raise no_data_error(path)
    return tuple(sorted(names - {""}))


def names(path: Path, task: str, classes: Classes = None) -> tuple[str, ...]:
    """Return `classes`, or else what the labels of a task are about; empty if they say it.

    Only the header of a CSV is read.

    Raises:
        PupilaError: the CSV has the labels of several names.
        OSError: the CSV may not be read.
    """
    plugin = installed().task(task)
    if not path.is_file():
        return tuple(classes or plugin.default_classes)
    _, header = next(csv_rows(path.absolute()), NO_LINE)
    return names_of(path.absolute(), header, plugin, classes)


def labelled_images(
    path: Path, split: str, task: str = CLASSIFICATION, classes: Classes = None
) -> Iterator[dict[str, str]]:
    """Yield a dict for each image of a split: `label` and, for a CSV, the values of all columns.

    No image is opened, and image files listed in a CSV are not checked.

    Raises:
        PupilaError: images are missing, or not in the form that `pupila.manifest.read` expects.
        OSError: a folder or the CSV may not be read.
    """
    if not path.is_dir():
        rows = csv_images(path.absolute(), task, classes)
        yield from (row.values for row in rows if row.values["split"] == split)
        return
    check_takes_folders(path, task)
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
    left_out = Counter[str]()
    for split_folder in split_folders(root):
        for label, folder in folders_by_label(split_folder):
            if label in names:
                continue
            for file in files_below(folder):
                if is_image(file):
                    names.add(label)
                    break
                count_left_out(file, left_out)
    if not names:
        raise no_images_error(root, left_out)
    return names


def no_images_error(root: Path, left_out: Mapping[str, int]) -> PupilaError:
    """Return the error for a folder without images; `left_out` has the numbers of other files."""
    kinds = f" ({count_by_suffix(left_out)})" if left_out else ""
    return PupilaError(
        f"No images under {str(root)!r}: its folders hold {sum(left_out.values())} files{kinds}, "
        f"none of them an image that an installed decoder reads. Expected {LAYOUT}."
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
    return sum(1 for path in folder.iterdir() if path.is_file() and is_image(str(path)))


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


# A CSV ---------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A line of a CSV, which lists one image."""

    line: int
    path: str
    """Path of the image as written in the CSV, relative or absolute."""
    values: dict[str, str]
    """Values by column name; here `path` is absolute, and `split` is one of `dataset.SPLITS`."""


def csv_images(path: Path, task: str = CLASSIFICATION, classes: Classes = None) -> Iterator[Row]:
    """Yield a `Row` for each image that a CSV lists; the image files are not checked.

    `task` and `classes` say which columns have the label. In `Row.values`, the one column `label`
    stands for them.

    Raises:
        PupilaError: the CSV is not in the form that `pupila.manifest.read` expects, lists an image
            twice, or lists no image.
    """
    rows = csv_rows(path)
    _, header = next(rows, NO_LINE)
    plugin = installed().task(task)
    label_columns = LabelColumns.find(path, header, plugin, classes)
    needed, advice = ("path", *label_columns.columns, "split"), advise_task(header, plugin)
    check_header(path, header, needed, advice, measured_columns(plugin))
    label_columns.check_one_label(path, header)
    listed: dict[str, tuple[int, str]] = {}
    for line, row in rows:
        values = _check_values(path, line, header, row, label_columns)
        name = row[header.index("path")]
        list_once(f"{path}, line {line}", name, line, values, listed)
        yield Row(line, name, values)
    if not listed:
        raise PupilaError(f"{path} lists no image: it has a header and no rows below it.")


def _check_values(
    path: Path, line: int, header: Sequence[str], row: Sequence[str], label_columns: LabelColumns
) -> dict[str, str]:
    """Check one row and return its values by column, with absolute path and canonical split.

    The column `label` replaces the label columns.
    """
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
    label = _check_label(f"{path}, line {line}", split, values, label_columns)
    file = os.path.normpath(path.parent / values["path"])
    return label_columns.others(f"{path}, line {line}", values) | {
        "path": file,
        "label": label,
        "split": split,
    }


def _check_label(
    line: str, split: str, values: Mapping[str, str], label_columns: LabelColumns
) -> str:
    """Check that a label fits its split; return the label, or "" in the split `unlabelled`."""
    given = " ".join(values[name] for name in label_columns.columns)
    has_label = bool(given.strip())
    if split == UNLABELLED and has_label:
        raise PupilaError(
            f"{line}: an image of the split {UNLABELLED!r} has the label {given!r}. Put it into "
            f"the split 'train', or leave its label empty."
        )
    if split != UNLABELLED and label_columns.task.takes_folders and not has_label:
        raise PupilaError(
            f"{line} has no label: give one, or put the image into the split {UNLABELLED!r}."
        )
    return "" if split == UNLABELLED else label_columns.label_of(line, values)


def is_file(path: str) -> bool:
    """Tell whether a file exists; False if it cannot be accessed."""
    try:
        return Path(path).is_file()
    except OSError:  # the name is too long for a file, or lies in a folder that may not be read
        return False
