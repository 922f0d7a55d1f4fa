"""Lists external images, which are used only to evaluate models; no image is opened.

Three layouts are possible:

* a folder with a folder per class, or with a folder per split that has a folder per class;
* a folder that has only images, which then have no labels;
* a CSV, which needs only the column `path`. In tasks other than classification, its labels are in
  the task's label columns (see `pupila.plugin.Task`), and a folder has images without labels.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from pupila import layout
from pupila.csv_files import NO_LINE, by_column, check_header, csv_rows, list_once
from pupila.dataset import UNLABELLED
from pupila.errors import PupilaError, nearest, unknown_class
from pupila.image_formats import is_image
from pupila.label_columns import LabelColumns, measured_columns
from pupila.paths import check_encoding, is_special
from pupila.plugin import CLASSIFICATION, Task
from pupila.plugin_registry import installed

TEST = "test"
_EXPECTED = (
    "expected a folder with a folder of images for each class, a folder of images alone, or a CSV "
    "with the column 'path'"
)

Row = dict[str, str]
"""One image: `path` (absolute), `label` and `split` (may be empty), and the CSV's other columns."""


@dataclass(frozen=True)
class Listing:
    """The images of a folder or a CSV."""

    source: Path
    rows: tuple[Row, ...]
    task: str = CLASSIFICATION
    """What the labels mean."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits in alphabetical order; empty if the images have no splits."""
        return tuple(sorted({row["split"] for row in self.rows} - {""}))

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels as written, in alphabetical order; empty if the images have no labels."""
        return tuple(sorted({row["label"] for row in self.rows} - {""}))

    def of_split(self, split: str | None) -> Listing:
        """Return the images of the split `split`, or of the split `test` if `split` is None.

        If the images have no splits, return all of them.

        Raises:
            PupilaError: the split has no images, only some of the images have labels, or a split
                is given for images without splits.
        """
        rows = self.rows
        if split and not self.splits:
            raise PupilaError(f"{str(self.source)!r} has no splits, so no {split!r}: leave it out.")
        if self.splits:
            wanted = _split(split or TEST)
            rows = tuple(row for row in rows if row["split"] == wanted)
            if not rows:
                raise PupilaError(
                    f"{str(self.source)!r} has no images of the split {wanted!r}; it has "
                    f"{', '.join(self.splits)}: name one as `split`."
                    f"{nearest(wanted, self.splits)}"
                )
        bare = [row["path"] for row in rows if not row["label"]]
        if bare and len(bare) < len(rows):
            raise PupilaError(
                f"{len(bare)} of {len(rows)} images of {str(self.source)!r} have no label, first "
                f"{bare[0]!r}: give each one, or leave the column out."
            )
        return replace(self, rows=rows)

    def with_classes(self, classes: Sequence[str], renamed: Mapping[str, str]) -> Listing:
        """Return the listing with each label replaced by the class that it means.

        `renamed` maps labels to classes. Any other label must be the name of a class. Upper and
        lower case are not distinguished. Labels of tasks without classes stay as they are.

        Raises:
            PupilaError: a label, or a value of `renamed`, is not a class.
        """
        if self.task != CLASSIFICATION:
            return self._without_classes(renamed)
        for name in renamed.values():
            if class_of(name, classes, {}) is None:
                raise PupilaError(unknown_class("map", name, classes))
        known = {label: class_of(label, classes, renamed) for label in self.labels}
        for label, name in known.items():
            if name is None:
                raise PupilaError(
                    f"{str(self.source)!r} has images labelled {label!r}, and the classes are "
                    f"{', '.join(classes)}: say which it is, as `{label}: {classes[0]}` in a "
                    f"recipe's `map` or as `--map {label}={classes[0]}`."
                    f"{nearest(label, classes)}"
                )
        rows = (row | {"label": known.get(row["label"]) or ""} for row in self.rows)
        return replace(self, rows=tuple(rows))

    def _without_classes(self, renamed: Mapping[str, str]) -> Listing:
        if renamed:
            raise PupilaError(
                f"`map` says which class a label means, and the task {self.task!r} has no classes: "
                f"leave it out."
            )
        return self


def class_of(label: str, classes: Sequence[str], renamed: Mapping[str, str]) -> str | None:
    """Return the class that a label means; None if it means none of `classes`.

    `renamed` maps labels to classes. Upper and lower case are not distinguished.
    """
    names = {old.strip().casefold(): new for old, new in renamed.items()}
    meant = names.get(label.strip().casefold(), label)
    if meant in classes:
        return meant
    return {name.casefold(): name for name in classes}.get(meant.strip().casefold())


def list_images(
    path: Path,
    folder: Path | None = None,
    task: str = CLASSIFICATION,
    classes: layout.Classes = None,
) -> Listing:
    """List the images of all splits in the folder or CSV `path`, with the labels of a task.

    If `folder` is given, the images of a CSV are looked up in that folder, by file name. Of a CSV
    with the labels of several names, those of `classes` are taken.

    Raises:
        PupilaError: there are no images, their layout is unknown, the CSV is invalid, or `folder`
            is given although `path` is a folder.
        OSError: a folder or the CSV cannot be read.
    """
    if is_special(path):
        raise PupilaError(f"{str(path)!r} is a pipe or a device: {_EXPECTED}.")
    if path.is_dir():
        if folder is not None:
            raise PupilaError(
                f"{str(path)!r} is a folder, so its images lie there: leave `folder` out."
            )
        rows = _without_folders_of_classes(path, _list_folder(path.absolute()), task)
    elif path.is_file():
        rows = _list_csv(path.absolute(), folder, installed().task(task), classes)
    else:
        raise PupilaError(f"No images at {str(path)!r}: {_EXPECTED}.")
    images = tuple(rows)
    if not images:
        raise PupilaError(f"{str(path)!r} has no images: {_EXPECTED}.")
    return Listing(path, images, task)


def _without_folders_of_classes(path: Path, rows: Iterable[Row], task: str) -> Iterator[Row]:
    """Yield images of a folder, and refuse folders of classes in a task that has none."""
    plugin = installed().task(task)
    for row in rows:
        if row["label"] and not plugin.takes_folders:
            raise PupilaError(
                f"{str(path)!r} has folders of classes, such as {row['label']!r}, and the task "
                f"{task!r} has none: put all images into one folder, without labels, or give a CSV "
                f"with the columns {', '.join(('path', *plugin.label_columns))}."
            )
        yield row


def _split(name: str) -> str:
    return layout.SPLIT_OF.get(name, name)


def _list_folder(root: Path) -> Iterator[Row]:
    folders = layout.folders_in(root)
    if folders and all(folder.name in layout.SPLIT_OF for folder in folders):
        if layout.count_images(root):
            raise PupilaError(
                f"{str(root)!r} has images beside the folders of splits, which are in no split: "
                f"move them into one."
            )
        return chain.from_iterable(_list_split(folder, _split(folder.name)) for folder in folders)
    return _list_split(root, "")


def _list_split(root: Path, split: str) -> Iterator[Row]:
    """Yield a split's images, labelled by folder, or without labels if `root` itself has images."""
    folders, alone = layout.folders_in(root), layout.count_images(root)
    if split == UNLABELLED:
        yield from _images_below(root, "", split)
    elif not alone:
        for folder in folders:
            yield from _images_below(folder, folder.name, split)
    elif folders and any(True for folder in folders for _ in _images_below(folder, "", "")):
        raise PupilaError(
            f"{str(root)!r} has {alone} images and folders of images beside them: put each into "
            f"the folder of its class, or all into one folder, without labels."
        )
    else:
        yield from _images_below(root, "", split)


def _images_below(folder: Path, label: str, split: str) -> Iterator[Row]:
    for file in sorted(layout.files_below(folder)):
        if is_image(file):
            yield {"path": file, "label": label, "split": split}


def _list_csv(
    path: Path, folder: Path | None, task: Task, classes: layout.Classes
) -> Iterator[Row]:
    lines, measured = csv_rows(path), measured_columns(task)
    _, header = next(lines, NO_LINE)
    kept = [name for name in header if name not in measured]  # these are measured again
    label_columns = LabelColumns.find(path, kept, task, classes)
    has_labels = label_columns.is_in(kept)
    check_header(
        path, kept, ("path", *(label_columns.columns if has_labels else ())), measured=measured
    )
    label_columns.check_one_label(path, kept)
    listed: dict[str, tuple[int, str]] = {}
    for line, fields in lines:
        where = f"{path}, line {line}"
        named = by_column(path, line, header, fields)
        values = {column: named[column] for column in kept}
        name = values["path"]
        if not name.strip():
            raise PupilaError(f"{where} has no path.")
        if "split" in values and not values["split"].strip():
            raise PupilaError(f"{where} has no split.")
        location = folder.absolute() / Path(name).name if folder else path.parent / name
        file = os.path.normpath(location)
        check_encoding(file)
        split = _split(values.get("split", "").strip())
        label = _label(where, split, values, label_columns) if has_labels else ""
        row = label_columns.others(where, values) | {"path": file, "label": label, "split": split}
        list_once(where, name, line, row, listed)
        yield row


def _label(line: str, split: str, values: Mapping[str, str], label_columns: LabelColumns) -> str:
    """Return the label of an image as one text; empty if it has none."""
    task = label_columns.task
    no_label = task.takes_folders and not values["label"].strip()
    if no_label or (split == UNLABELLED and task.name != CLASSIFICATION):
        return ""
    return label_columns.label_of(line, values).strip()
