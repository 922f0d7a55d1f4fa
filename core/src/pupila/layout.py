"""Lists the images of a data set with their labels and splits, without opening them.

A reader lists them (`pupila.data_plugins.DatasetReader`); what it lists is checked here, whatever
the reader. This module does not import pandas, so that a recipe is checked in a fraction of a
second. `pupila.manifest` makes a pandas table of the same images.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from pupila.csv_files import list_once
from pupila.data_source import AUTOMATIC, Classes, ListedImage, ReaderChoice
from pupila.dataset import LABELLED_SPLITS, UNLABELLED
from pupila.dataset_readers import list_images, reader_of
from pupila.errors import PupilaError, list_names, nearest
from pupila.folder_layout import FOLDER, SPLIT_OF, labels_of_folders
from pupila.label_columns import LabelColumns, check_takes_folders, names_of
from pupila.plugin import CLASSIFICATION
from pupila.plugin_registry import installed

COLUMNS = ("path", "label", "split")
_SPLITS = f"{', '.join(LABELLED_SPLITS)} or {UNLABELLED}"


def labels(
    path: Path,
    task: str = CLASSIFICATION,
    classes: Classes = None,
    choice: ReaderChoice = AUTOMATIC,
) -> tuple[str, ...]:
    """Return the distinct labels of the images, sorted; empty if all images are unlabelled.

    The labels of a folder are the names of the class folders that contain at least one image, of
    which only the first is looked for. No image file is checked. `task` and `classes` say which
    columns have the label.

    Raises:
        PupilaError: images are missing, or not in the form that the reader expects.
        OSError: a folder or file may not be read.
    """
    if reader_of(path, choice).implementation == FOLDER:
        check_takes_folders(path, task)
        return labels_of_folders(path.absolute())
    names = {row.values["label"] for row in listed_rows(path, task, classes, choice)}
    return tuple(sorted(names - {""}))


def names(
    path: Path, task: str, classes: Classes = None, choice: ReaderChoice = AUTOMATIC
) -> tuple[str, ...]:
    """Return `classes`, or else what the labels of a task are about; empty if they say it.

    Only the first image is listed.

    Raises:
        PupilaError: the data has the labels of several names.
        OSError: the data may not be read.
    """
    plugin = installed().task(task)
    if classes or not plugin.has_named_columns:
        return tuple(classes or plugin.default_classes)
    with closing(list_images(path, task, classes, choice, complete=False)) as images:
        header = next((list(image.values) for image in images), list[str]())
    return names_of(str(path), header, plugin, classes)


def labelled_images(
    path: Path,
    split: str,
    task: str = CLASSIFICATION,
    classes: Classes = None,
    choice: ReaderChoice = AUTOMATIC,
) -> Iterator[Mapping[str, str]]:
    """Yield the values of all columns, with `label`, for each image of a split.

    No image is opened, and image files listed in a CSV are not checked.

    Raises:
        PupilaError: images are missing, or not in the form that the reader expects.
        OSError: a folder or file may not be read.
    """
    rows = listed_rows(path, task, classes, choice)
    yield from (row.values for row in rows if row.values["split"] == split)


class Row(NamedTuple):
    """One image of a data set, whose label and split are checked."""

    origin: str
    """Where it is listed; see `ListedImage`."""
    path: str
    """Path of the image as the reader gave it, relative or absolute."""
    values: Mapping[str, str]
    """Values by column name; here `path` is absolute, and `split` is one of `dataset.SPLITS`."""


def listed_rows(
    path: Path,
    task: str = CLASSIFICATION,
    classes: Classes = None,
    choice: ReaderChoice = AUTOMATIC,
    left_out: Counter[str] | None = None,
) -> Iterator[Row]:
    """Yield a `Row` for each image that a data set lists; the image files are not checked.

    `task` and `classes` say which columns have the label. In `Row.values`, the one column `label`
    stands for them.

    Raises:
        PupilaError: a column, a label or a split is missing or wrong, an image is listed twice, or
            there is none.
        OSError: a folder or file may not be read.
    """
    path, plugin = path.absolute(), installed().task(task)
    images = list_images(path, task, classes, choice, left_out)
    label_columns, header = None, list[str]()
    listed: dict[str, tuple[str, str]] = {}
    folder = folder_of(path)
    for image in images:
        line = where(path, image)
        if label_columns is None:
            header = list(image.values)
            label_columns = LabelColumns.check(line, header, plugin, classes)
        if set(image.values) != set(header):
            raise PupilaError(
                f"{line} has the columns {list_names(image.values)}, and the first image has "
                f"{list_names(header)}: give all images the same."
            )
        values = _check_values(folder, line, image.values, label_columns)
        name = image.values["path"]
        if image.origin:  # files that the reader has seen are there once
            list_once(line, name, image.origin, values, listed)
        yield Row(image.origin, name, values)
    if label_columns is None:
        raise PupilaError(f"{str(path)!r} has no images.")


def where(path: Path, image: ListedImage) -> str:
    """Return where a data set at `path` lists an image, to begin a message."""
    return f"{path}, {image.origin}" if image.origin else str(path)


def folder_of(path: Path) -> str:
    """Return the folder from which the relative paths of a data set start."""
    return str(path if path.is_dir() else path.parent)


def file_in(folder: str, name: str) -> str:
    """Return the absolute path of an image that a data set lists under a name."""
    return os.path.normpath(os.path.join(folder, name))  # noqa: PTH118  a Path for each is slow


def _check_values(
    folder: str, line: str, values: Mapping[str, str], label_columns: LabelColumns
) -> dict[str, str]:
    """Check one image and return its values by column, with absolute path and canonical split.

    The column `label` replaces the label columns.
    """
    empty = next((name for name in ("path", "split") if not values[name].strip()), None)
    if empty:
        raise PupilaError(f"{line} has no {empty}.")
    if "\0" in values["path"]:
        raise PupilaError(f"{line} has a null byte in its path: remove it.")
    split = SPLIT_OF.get(values["split"])
    if split is None:
        raise PupilaError(
            f"{line}: unknown split {values['split']!r}; expected {_SPLITS}."
            f"{nearest(values['split'], SPLIT_OF)}"
        )
    label = _check_label(line, split, values, label_columns)
    return label_columns.others(line, values) | {
        "path": file_in(folder, values["path"]),
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
