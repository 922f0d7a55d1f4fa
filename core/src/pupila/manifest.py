"""Lists the images of a class-per-folder tree or of a CSV manifest, and measures them.

`read` lists images without opening them; `scan` opens each image once to measure it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pupila.errors import PupilaError
from pupila.image_formats import count_left_out, is_image
from pupila.label_columns import check_takes_folders
from pupila.layout import (
    COLUMNS,
    SPLIT_OF,
    Classes,
    Row,
    csv_images,
    files_below,
    folders_by_label,
    is_file,
    no_data_error,
    no_images_error,
    split_folders,
)
from pupila.plugin import CLASSIFICATION
from pupila.scanning import scan

__all__ = ["read", "scan"]


def read(path: Path, task: str = CLASSIFICATION, classes: Classes = None) -> pd.DataFrame:
    """List the images of a folder or of a CSV manifest.

    A folder has the layout `train/<class>/*`, `validation/<class>/*` (or `val`, `valid`),
    `test/<class>/*`. Subfolders of a class folder belong to that class. Images without a label lie
    anywhere below `unlabelled` (or `unlabeled`).

    A CSV, in UTF-8, has the columns `path` (absolute, or relative to the CSV), `label` (empty in
    the split `unlabelled`) and `split`. It may have other columns, such as `patient`, `site` and
    `source`, which are kept. In another task, a folder may not do, and the columns that hold a
    label may be others: see `pupila.plugin.Task.label_columns`. Of those of several names, the ones
    of `classes` are taken. They become the one column `label`, a text. Beside them, a CSV may have
    the size of its files in pixels, `width` and `height`, which become `listed_width` and
    `listed_height`.

    The result has one row per image, sorted by path, with the columns `path` (absolute), `label`,
    `split` and the CSV's other columns. All columns but `path` are categories, and the label of an
    unlabelled image is "". For a folder, `attrs["left_out"]` has the numbers of other files, as
    `{suffix: number}`; hidden files are not counted.

    Raises:
        PupilaError: images are missing, or the folder or the CSV does not have this form.
    """
    if path.is_dir():
        check_takes_folders(path, task)
        return _read_folder(path.absolute())
    if path.is_file():
        return _read_csv(path.absolute(), task, classes)
    raise no_data_error(path)


def _frame(columns: dict[str, list[str]]) -> pd.DataFrame:
    kinds = {name: "category" for name in columns if name != "path"}
    return pd.DataFrame(columns).astype(kinds).sort_values("path", ignore_index=True)


# A folder ------------------------------------------------------------------------------------


def _read_folder(root: Path) -> pd.DataFrame:
    columns: dict[str, list[str]] = {name: [] for name in COLUMNS}
    left_out = Counter[str]()
    for split_folder in split_folders(root):
        split = SPLIT_OF[split_folder.name]
        for label, folder in folders_by_label(split_folder):
            for file in files_below(folder):
                if not is_image(file):
                    count_left_out(file, left_out)
                    continue
                columns["path"].append(file)
                columns["label"].append(label)
                columns["split"].append(split)
    if not columns["path"]:
        raise no_images_error(root, left_out)
    frame = _frame(columns)
    frame.attrs["left_out"] = dict(left_out)
    return frame


# A CSV ---------------------------------------------------------------------------------------


def _read_csv(path: Path, task: str, classes: Classes) -> pd.DataFrame:
    columns: dict[str, list[str]] = {}
    missing: list[Row] = []
    for row in csv_images(path, task, classes):
        if not is_file(row.values["path"]):
            missing.append(row)
        for name, value in row.values.items():
            columns.setdefault(name, []).append(value)
    if missing:
        raise PupilaError(_missing_files(path, missing, len(columns["path"])))
    return _frame(columns)


def _missing_files(path: Path, missing: Sequence[Row], rows: int) -> str:
    line, name, _ = missing[0]
    return (
        f"{path}, line {line}: the file {name!r} does not exist in {str(path.parent)!r}. "
        f"{len(missing)} of {rows} rows name files that are not there; paths are relative to the "
        f"CSV."
    )
