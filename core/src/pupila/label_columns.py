"""The columns of a CSV manifest that hold a label, and how they become one text.

The label columns of a task, such as `x` and `y`, may have these names, or begin with the name of
what they are about: `disc_x` and `disc_y`. Then a CSV may have those of several names, of which one
is read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pupila.csv_files import check_header
from pupila.errors import PupilaError, join_names, nearest
from pupila.image_stats import MEASURED
from pupila.names import composed
from pupila.plugin import CLASSIFICATION, Task
from pupila.plugin_registry import installed
from pupila.task import methods_of

LISTED_SIZE = {"width": "listed_width", "height": "listed_height"}
"""Columns with the size of a file in pixels that a CSV may have if its labels have columns of their
own, and what these columns are called once they are read. A scan measures the true size."""


@dataclass(frozen=True)
class LabelColumns:
    """The columns of a CSV that hold the labels of a task."""

    task: Task
    columns: tuple[str, ...]
    """Columns of the CSV, in the order of `Task.label_columns`."""
    name: str | None = None
    """What the labels are about, if the columns begin with it: `disc` for `disc_x`."""

    @classmethod
    def find(
        cls, where: str, header: Sequence[str], task: Task, classes: Sequence[str] | None = None
    ) -> Self:
        """Return the label columns of a CSV with a header, some of which may be missing.

        If `classes` has one name, its columns are those that begin with it, or else the task's.
        Without `classes`, columns that have the task's own names come first.

        Raises:
            PupilaError: the columns of several names are there and `classes` does not say which, or
                only those of other names.
        """
        if not task.has_named_columns or len(classes or ()) > 1:
            return cls(task, task.label_columns)
        name = _choose(where, header, task, *(classes or ()))
        return cls(task, _columns(task, name), name)

    @classmethod
    def beside(cls, header: Sequence[str], task: Task, classes: Sequence[str] = ()) -> list[Self]:
        """Return the label columns that a table has besides those of its own task.

        Only complete ones count, those with the task's own names first. Of a task whose columns may
        begin with a name, `classes` says which names count; by default any does.
        """
        begun = _begun(header, task) if task.has_named_columns else []
        names = [None, *(name for name in begun if not classes or name in classes)]
        return [
            cls(task, _columns(task, name), name)
            for name in names
            if not _missing(header, task, name)
        ]

    @classmethod
    def check(
        cls,
        where: str,
        header: Sequence[str],
        task: Task,
        classes: Sequence[str] | None = None,
        *,
        complete: bool = True,
    ) -> Self:
        """Return the label columns of a data set, and make sure that it has all columns it needs.

        `where` names it in messages, as in `eyes.csv, line 1`. If it need not be complete, it may
        lack labels and splits, and columns that a scan measures again do not count.

        Raises:
            PupilaError: a column is missing or repeated, or has a name that it must not have.
        """
        measured = measured_columns(task)
        kept = header if complete else [name for name in header if name not in measured]
        columns = cls.find(where, kept, task, classes)
        labels = columns.columns if complete or columns.is_in(kept) else ()
        needed = ("path", *labels, "split") if complete else ("path", *labels)
        check_header(where, kept, needed, advise_task(header, task) if complete else "", measured)
        columns._check_one_label(where, kept)
        return columns

    def _check_one_label(self, where: str, header: Sequence[str]) -> None:
        """Make sure that a data set has no column `label` if other columns hold the labels.

        Raises:
            PupilaError: it has.
        """
        if not self.task.takes_folders and "label" in header:
            raise PupilaError(
                f"{where} has the column 'label', but the labels of the task "
                f"{self.task.name!r} are in {_quoted(self.columns)}: remove or rename it."
            )

    def is_in(self, header: Sequence[str]) -> bool:
        """Tell whether a header has any of these columns."""
        return not set(self.columns).isdisjoint(header)

    def label_of(self, line: str, values: Mapping[str, str]) -> str:
        """Return the label of an image as one text.

        `values` has the values of all columns, and `line` names the file and the line in messages.
        A label that is one text is taken as it is, with composed letters.

        Raises:
            PupilaError: the values are not a label of the task.
        """
        if self.task.name == CLASSIFICATION:
            return composed(values["label"])
        try:
            return methods_of(self.task.name).label_of(
                {name: values[name] for name in self.columns}
            )
        except PupilaError as error:
            raise PupilaError(f"{line} {error}") from None

    def others(self, line: str, values: Mapping[str, str]) -> dict[str, str]:
        """Return the values of a line without its label, unless that is in the column `label`.

        The size of the file, if it is given, gets the names in `LISTED_SIZE`.

        Raises:
            PupilaError: the size is not a number of pixels.
        """
        if self.task.takes_folders:
            return dict(values)
        for name in LISTED_SIZE:
            _check_pixels(line, name, values.get(name, ""))
        return {
            LISTED_SIZE.get(name, name): value
            for name, value in values.items()
            if name not in self.columns
        }


def names_of(
    where: str, header: Sequence[str], task: Task, classes: Sequence[str] | None
) -> tuple[str, ...]:
    """Return what the labels of a CSV are about; empty if that is what the labels say.

    These are `classes` if given, or the name with which its label columns begin, or else the names
    that the task has by default.

    Raises:
        PupilaError: the label columns are those of several names, or of others.
    """
    if classes:
        return tuple(classes)
    name = LabelColumns.find(where, header, task).name
    return (name,) if name else task.default_classes


def measured_columns(task: Task) -> tuple[str, ...]:
    """Return the columns that a scan adds, and that a CSV with data of a task must not have."""
    return tuple(name for name in MEASURED if task.takes_folders or name not in LISTED_SIZE)


def advise_task(header: Sequence[str], task: Task) -> str:
    """Name the other task whose label columns a header has; empty if there is none."""
    names = [
        other.name
        for other in installed().all(Task)
        if not other.takes_folders and other != task and _has_labels(header, other)
    ]
    return f" It has those of the task {names[0]!r}: name it as the data's task." if names else ""


def check_takes_folders(path: Path, task: str) -> None:
    """Make sure that the labels of a task can be the names of folders.

    Raises:
        PupilaError: they cannot, so the images in the folder `path` need a CSV.
    """
    plugin = installed().task(task)
    if not plugin.takes_folders:
        raise PupilaError(
            f"{str(path)!r} is a folder, and the task {task!r} has no folders of classes: give a "
            f"CSV manifest with the columns {', '.join(('path', *plugin.label_columns, 'split'))}."
        )


def _choose(where: str, header: Sequence[str], task: Task, wanted: str | None = None) -> str | None:
    """Return the name with which a CSV's label columns begin; None if it is the task's own columns.

    If no name has all of its columns, it is that of which most are there.
    """
    begun = _begun(header, task)
    names = [wanted, None] if wanted else [None, *begun]
    complete = [name for name in names if not _missing(header, task, name)]
    if not wanted and len(complete) > 1 and None not in complete:
        raise PupilaError(
            f"{where} has the labels of {_quoted(complete)}, of which one can be learned: "
            f"name it in `data.classes`, or with --classes."
        )
    others = [name for name in begun if not _missing(header, task, name)]
    if wanted and others and not complete:
        raise PupilaError(
            f"{where} has the labels of {_quoted(others)}, not of {wanted!r}: give the "
            f"columns {', '.join(_columns(task, wanted))}, or the right name in `data.classes`, or "
            f"with --classes.{nearest(wanted, others)}"
        )
    return min(names, key=lambda name: len(_missing(header, task, name)))


def _begun(header: Sequence[str], task: Task) -> list[str]:
    """Return the names of which a header has all label columns, or all but one."""
    names = {
        column.removesuffix(f"_{own}")
        for column in header
        for own in task.label_columns
        if column.endswith(f"_{own}")
    }
    return sorted(name for name in names if name and len(_missing(header, task, name)) <= 1)


def _missing(header: Sequence[str], task: Task, name: str | None) -> set[str]:
    return set(_columns(task, name)) - set(header)


def _columns(task: Task, name: str | None) -> tuple[str, ...]:
    own = task.label_columns
    return tuple(f"{name}_{column}" for column in own) if name else own


def _has_labels(header: Sequence[str], task: Task) -> bool:
    return bool(LabelColumns.beside(header, task))


def _check_pixels(line: str, name: str, text: str) -> None:
    try:
        is_size = not text.strip() or (float(text) > 0 and math.isfinite(float(text)))
    except ValueError:
        is_size = False
    if not is_size:
        raise PupilaError(
            f"{line} has the {name} {text!r}: give the {name} of its file in pixels, or remove the "
            f"column."
        )


def _quoted(names: Sequence[str | None]) -> str:
    return join_names(map(repr, names))
