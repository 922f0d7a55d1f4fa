"""Lists the images of a data set, such as a folder or a CSV manifest, and measures them.

`read` lists images without opening them; `scan` opens each image once to measure it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pupila.data_source import AUTOMATIC, Classes, ReaderChoice
from pupila.errors import PupilaError
from pupila.layout import Row, listed_rows
from pupila.paths import is_file, slash_hint
from pupila.plugin import CLASSIFICATION
from pupila.scanning import scan

__all__ = ["read", "scan"]


def read(
    path: Path,
    task: str = CLASSIFICATION,
    classes: Classes = None,
    choice: ReaderChoice = AUTOMATIC,
) -> pd.DataFrame:
    """List the images of a data set, such as a folder or a CSV manifest.

    `choice` says which reader lists them, by default the one that recognises the data. A folder has
    the layout that `pupila.folder_layout.read` expects.

    A CSV, in UTF-8, has the columns `path` (absolute, or relative to the CSV), `label` (empty in
    the split `unlabelled`) and `split`. It may have other columns, such as `patient`, `site` and
    `source`, which are kept. In another task, a folder may not do, and the columns that hold a
    label may be others: see `pupila.plugin.Task.label_columns`. Of those of several names, the ones
    of `classes` are taken. They become the one column `label`, a text. Beside them, a CSV may have
    the size of its files in pixels, `width` and `height`, which become `listed_width` and
    `listed_height`. All this holds for the columns of other readers too.

    The result has one row per image, sorted by path, with the columns `path` (absolute), `label`,
    `split` and the other columns. All columns but `path` are categories, and the label of an
    unlabelled image is "". `attrs["left_out"]` has the numbers of files that are not images, as
    `{suffix: number}`; hidden files are not counted.

    Raises:
        PupilaError: images are missing, or the data does not have this form.
    """
    columns: dict[str, list[str]] = {}
    missing: list[Row] = []
    left_out = Counter[str]()
    for row in listed_rows(path, task, classes, choice, left_out):
        if row.origin and not is_file(row.values["path"]):
            missing.append(row)
        for name, value in row.values.items():
            columns.setdefault(name, []).append(value)
    if missing:
        raise PupilaError(_missing_files(path.absolute(), missing, len(columns["path"])))
    kinds = {name: "category" for name in columns if name != "path"}
    frame = pd.DataFrame(columns).astype(kinds).sort_values("path", ignore_index=True)
    frame.attrs["left_out"] = dict(left_out)
    return frame


def _missing_files(path: Path, missing: Sequence[Row], rows: int) -> str:
    first, folder = missing[0], path if path.is_dir() else path.parent
    return (
        f"{path}, {first.origin}: the file {first.path!r} does not exist in {str(folder)!r}. "
        f"{len(missing)} of {rows} rows name files that are not there; paths are relative to "
        f"{'the CSV' if path.is_file() else 'the folder'}.{slash_hint(first.path)}"
    )
