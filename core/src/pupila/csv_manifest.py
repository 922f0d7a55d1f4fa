"""The reader of CSV manifests; it comes in by the hook of all readers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pupila.csv_files import NO_LINE, by_column, csv_rows
from pupila.data_plugins import DatasetReader
from pupila.data_source import DataSource, ListedImage
from pupila.errors import PupilaError
from pupila.hookspecs import hookimpl
from pupila.label_columns import LabelColumns
from pupila.plugin import Config


@hookimpl
def pupila_datasets() -> Iterator[DatasetReader]:
    """Yield the reader of CSV manifests."""
    yield DatasetReader(
        name="csv",
        summary="A .csv file with the path, label and split of each image",
        recognises=_is_csv,
        implementation=f"{__name__}:read",
    )


def read(source: DataSource[Config]) -> Iterator[ListedImage]:
    """List the images of a CSV in UTF-8 with the columns `path`, `label` and `split`.

    Raises:
        PupilaError: it is not a CSV of this form, or lists no image.
        OSError: the file may not be read.
    """
    path, lines = source.path, csv_rows(source.path)
    _, header = next(lines, NO_LINE)
    LabelColumns.check(
        f"{path}, line 1", header, source.task, source.classes, complete=source.complete
    )
    line = None
    for line, row in lines:
        yield ListedImage(f"line {line}", by_column(path, line, header, row))
    if line is None and source.complete:
        raise PupilaError(f"{path} lists no image: it has a header and no rows below it.")


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv" and path.is_file()
