"""Lists external images, which are used only to evaluate models; no image is opened.

They come in any form that an installed reader reads, and need no labels and splits. Those of
Pupila itself read:

* a folder with a folder per class, or with a folder per split that has a folder per class;
* a folder that has only images, which then have no labels;
* a CSV, which needs only the column `path`. In tasks other than classification, its labels are in
  the task's label columns (see `pupila.plugin.Task`), and a folder has images without labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pupila import dataset_readers, layout
from pupila.csv_files import list_once
from pupila.data_source import AUTOMATIC, Classes, ListedImage, ReaderChoice
from pupila.dataset import UNLABELLED
from pupila.errors import PupilaError, nearest, unknown_class
from pupila.folder_layout import SPLIT_OF
from pupila.label_columns import LabelColumns, measured_columns
from pupila.names import composed
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
    left_out: Mapping[str, int] = field(default_factory=dict[str, int])
    """Numbers of files by suffix that are not images."""

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
    meant = composed(names.get(label.strip().casefold(), label))
    if meant in classes:
        return meant
    return {name.casefold(): name for name in classes}.get(meant.strip().casefold())


def list_images(
    path: Path,
    folder: Path | None = None,
    task: str = CLASSIFICATION,
    classes: Classes = None,
    choice: ReaderChoice = AUTOMATIC,
) -> Listing:
    """List the images of all splits of a data set, with the labels of a task.

    If `folder` is given, the images of a CSV are looked up in that folder, by file name. Of a CSV
    with the labels of several names, those of `classes` are taken. `choice` says which reader lists
    the images, by default the one that recognises the data.

    Raises:
        PupilaError: there are no images, their layout is unknown, the CSV is invalid, or `folder`
            is given although `path` is a folder.
        OSError: a folder or file cannot be read.
    """
    if is_special(path):
        raise PupilaError(f"{str(path)!r} is a pipe or a device: {_EXPECTED}.")
    if not path.exists():
        raise PupilaError(f"No images at {str(path)!r}: {_EXPECTED}.")
    if path.is_dir() and folder is not None:
        raise PupilaError(
            f"{str(path)!r} is a folder, so its images lie there: leave `folder` out."
        )
    left_out, plugin = Counter[str](), installed().task(task)
    images = dataset_readers.list_images(path, task, classes, choice, left_out, complete=False)
    rows = tuple(_rows(path.absolute(), images, folder, plugin, classes))
    if not rows:
        raise PupilaError(f"{str(path)!r} has no images: {_EXPECTED}.")
    return Listing(path, rows, task, left_out)


def _rows(
    path: Path, images: Iterable[ListedImage], folder: Path | None, task: Task, classes: Classes
) -> Iterator[Row]:
    """Yield the images of a data set with absolute paths and one label."""
    measured = measured_columns(task)  # these are measured again
    label_columns = None
    listed: dict[str, tuple[str, str]] = {}
    for image in images:
        where = layout.where(path, image)
        values = {name: value for name, value in image.values.items() if name not in measured}
        if label_columns is None:
            header = list(image.values)
            label_columns = LabelColumns.check(where, header, task, classes, complete=False)
        row = _row(path, where, values, folder, label_columns)
        if image.origin:
            list_once(where, values["path"], image.origin, row, listed)
        yield row


def _row(
    path: Path,
    where: str,
    values: Mapping[str, str],
    folder: Path | None,
    label_columns: LabelColumns,
) -> Row:
    name = values["path"]
    if not name.strip():
        raise PupilaError(f"{where} has no path.")
    if "split" in values and path.is_file() and not values["split"].strip():
        raise PupilaError(f"{where} has no split.")
    name = Path(name).name if folder else name
    file = layout.file_in(str(folder.absolute()) if folder else layout.folder_of(path), name)
    check_encoding(file)
    split = _split(values.get("split", "").strip())
    label = _label(where, split, values, label_columns)
    return label_columns.others(where, values) | {"path": file, "label": label, "split": split}


def _split(name: str) -> str:
    return SPLIT_OF.get(name, name)


def _label(where: str, split: str, values: Mapping[str, str], label_columns: LabelColumns) -> str:
    """Return the label of an image as one text; empty if it has none."""
    task = label_columns.task
    no_label = not label_columns.is_in(list(values)) or (
        task.takes_folders and not values["label"].strip()
    )
    if no_label or (split == UNLABELLED and task.name != CLASSIFICATION):
        return ""
    return label_columns.label_of(where, values).strip()
