"""Lists the images of a class-per-folder tree or of a CSV manifest, and measures them.

`read` opens no image; `scan` opens each once.
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pandas as pd
from PIL import Image

from pupila.dataset import LABELLED_SPLITS, UNLABELLED
from pupila.errors import PupilaError, nearest
from pupila.scanning import MEASURED, scan

__all__ = ["is_file", "is_image", "read", "scan"]

COLUMNS = ("path", "label", "split")
_SPLIT_OF = {
    **{name: name for name in LABELLED_SPLITS},
    "val": "validation",
    "valid": "validation",
    UNLABELLED: UNLABELLED,
    "unlabeled": UNLABELLED,
}
_LAYOUT = "train/<class>/*, validation/<class>/* and test/<class>/*"
_SPLITS = f"{', '.join(LABELLED_SPLITS)} or {UNLABELLED}"


def read(path: Path) -> pd.DataFrame:
    """List the images of a folder or of a CSV manifest.

    A folder is `train/<class>/*`, `validation/<class>/*` (or `val`, `valid`), `test/<class>/*`;
    folders below a class belong to it. Images without a label lie anywhere below `unlabelled` (or
    `unlabeled`). A CSV, in UTF-8, has the columns `path` (relative to the CSV), `label` (empty in
    the split `unlabelled`) and `split`, and any others (`patient`, `site`, `source`, …), which are
    kept.

    Returns one row per image, sorted by path: `path` (absolute), `label`, `split` and the CSV's
    other columns; all but `path` are categories, and the label of an unlabelled image is "".
    `attrs["ignored_files"]` counts files of a folder that bear no image suffix.

    Raises:
        PupilaError: there are no images, or not in this form; says where, and what was expected.
    """
    if path.is_dir():
        return _read_folder(path.absolute())
    if path.is_file():
        return _read_csv(path.absolute())
    raise PupilaError(
        f"No data at {str(path)!r}: expected a folder of images ({_LAYOUT}) or a CSV manifest."
    )


def _frame(columns: dict[str, list[str]]) -> pd.DataFrame:
    kinds = {name: "category" for name in columns if name != "path"}
    return pd.DataFrame(columns).astype(kinds).sort_values("path", ignore_index=True)


# A folder ------------------------------------------------------------------------------------


def _read_folder(root: Path) -> pd.DataFrame:
    columns: dict[str, list[str]] = {name: [] for name in COLUMNS}
    ignored = 0
    for split_folder in _split_folders(root):
        split = _SPLIT_OF[split_folder.name]
        for label, folder in _folders_by_label(split_folder):
            for file in _files(folder):
                if not is_image(file):
                    ignored += 1
                    continue
                columns["path"].append(file)
                columns["label"].append(label)
                columns["split"].append(split)
    if not columns["path"]:
        raise PupilaError(
            f"No images under {str(root)!r}: its folders hold {ignored} files, none of them "
            f"with an image's suffix. Expected {_LAYOUT}."
        )
    frame = _frame(columns)
    frame.attrs["ignored_files"] = ignored
    return frame


def _split_folders(root: Path) -> list[Path]:
    """Return the folders right under `root`, each a split."""
    folders = _folders(root)
    splits = [folder for folder in folders if folder.name in _SPLIT_OF]
    others = [folder for folder in folders if folder.name not in _SPLIT_OF]
    images = _count_images(root)
    if images:
        raise PupilaError(
            f"{images} images lie directly in {str(root)!r}, so they have no split and no class. "
            f"Expected {_LAYOUT}."
        )
    if not splits:
        found = ", ".join(repr(folder.name) for folder in others[:5]) or "no folders"
        raise PupilaError(
            f"{str(root)!r} has no split folders: found {found}. Expected {_LAYOUT}."
            + (nearest(others[0].name, _SPLIT_OF) if others else "")
        )
    if others:
        raise PupilaError(
            f"{str(others[0])!r} is no split: expected no other folders than train, validation, "
            f"test and unlabelled.{nearest(others[0].name, _SPLIT_OF)}"
        )
    return splits


def _folders_by_label(split_folder: Path) -> list[tuple[str, Path]]:
    """Return the folders of a split, each with the label of all that lies in it."""
    if _SPLIT_OF[split_folder.name] == UNLABELLED:
        return [("", split_folder)]
    return [(folder.name, folder) for folder in _class_folders(split_folder)]


def _class_folders(split_folder: Path) -> list[Path]:
    images = _count_images(split_folder)
    if images:
        raise PupilaError(
            f"{images} images lie directly in {str(split_folder)!r}, so they have no class. "
            f"Expected one folder per class: {split_folder.name}/<class>/*."
        )
    return _folders(split_folder)


def _folders(folder: Path) -> list[Path]:
    """Return subfolders in order, without hidden ones (`.git`, `.ipynb_checkpoints`)."""
    return sorted(each for each in folder.iterdir() if each.is_dir() and each.name[0] != ".")


def _count_images(folder: Path) -> int:
    return sum(1 for each in folder.iterdir() if is_image(each.name) and each.is_file())


def _files(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        folders[:] = (name for name in folders if not name.startswith("."))
        for name in names:
            yield os.path.join(parent, name)  # noqa: PTH118  a Path for each of many files is slow


def is_image(name: str) -> bool:
    """Tell by the suffix; `._x.jpg`, macOS' shadow of a file on foreign disks, is none."""
    base = os.path.basename(name)  # noqa: PTH119  as above
    return not base.startswith(".") and os.path.splitext(base)[1].lower() in _suffixes()  # noqa: PTH122


@cache
def _suffixes() -> frozenset[str]:
    """Suffixes of the formats that this Pillow reads (it writes some that it does not)."""
    formats = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in formats if name in Image.OPEN)


# A CSV ---------------------------------------------------------------------------------------


_NOTHING: tuple[int, list[str]] = (1, [])


def _read_csv(path: Path) -> pd.DataFrame:
    rows = _csv_rows(path)
    _, header = next(rows, _NOTHING)
    _check_header(path, header)
    columns: dict[str, list[str]] = {name: [] for name in header}
    line_of: dict[str, int] = {}
    missing: list[tuple[int, str]] = []
    for line, row in rows:
        values = _checked_values(path, line, header, row)
        if not is_file(values["path"]):
            missing.append((line, row[header.index("path")]))
        earlier = line_of.setdefault(values["path"], line)
        if earlier != line:
            raise PupilaError(
                f"{path}, line {line}: {row[header.index('path')]!r} is listed a second time, "
                f"after line {earlier}. Remove one of the two."
            )
        for name, value in values.items():
            columns[name].append(value)
    if not line_of:
        raise PupilaError(f"{path} lists no image: it has a header and no rows below it.")
    if missing:
        raise PupilaError(_missing_files(path, missing, len(line_of)))
    return _frame(columns)


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with its line number."""
    reader = csv.reader(_lines(path), strict=True)
    try:
        for row in reader:
            if any(row):
                yield reader.line_num, row
    except csv.Error as error:
        raise PupilaError(
            f"{path}, line {reader.line_num} is no CSV: {error}. Quotes inside a field are doubled."
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


def _check_header(path: Path, header: Sequence[str]) -> None:
    if not header:
        raise PupilaError(f"{path} is empty: expected a header with {', '.join(COLUMNS)}.")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise PupilaError(f"{path}, line 1 has the column {repeated[0]!r} twice: remove one.")
    measured = [name for name in header if name in MEASURED]
    if measured:
        raise PupilaError(
            f"{path}, line 1 has the column {measured[0]!r}, which is measured from the files: "
            f"remove or rename it."
        )
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        found = ", ".join(map(repr, header))
        hint = nearest(missing[0], set(header) - set(COLUMNS))
        raise PupilaError(
            f"{path}, line 1 has no column {missing[0]!r}: found {found}; expected "
            f"{', '.join(COLUMNS)}, separated by commas.{hint}"
        )


def _checked_values(
    path: Path, line: int, header: Sequence[str], row: Sequence[str]
) -> dict[str, str]:
    """Return one row by column, with an absolute path and the split's own name."""
    if len(row) != len(header):
        raise PupilaError(
            f"{path}, line {line} has {len(row)} fields: expected {len(header)}, as in line 1."
        )
    values = dict(zip(header, map(sys.intern, row), strict=True))
    empty = next((name for name in ("path", "split") if not values[name].strip()), None)
    if empty:
        raise PupilaError(f"{path}, line {line} has no {empty}.")
    split = _SPLIT_OF.get(values["split"])
    if split is None:
        raise PupilaError(
            f"{path}, line {line}: unknown split {values['split']!r}; expected {_SPLITS}."
            f"{nearest(values['split'], _SPLIT_OF)}"
        )
    label = _checked_label(f"{path}, line {line}", split, values["label"])
    file = os.path.normpath(path.parent / values["path"])
    return values | {"path": file, "label": label, "split": split}


def _checked_label(place: str, split: str, label: str) -> str:
    """Return the label as it is, or "" in the split `unlabelled`."""
    given = bool(label.strip())
    if split == UNLABELLED and given:
        raise PupilaError(
            f"{place}: an image of the split {UNLABELLED!r} has the label {label!r}. Put it into "
            f"the split 'train', or leave its label empty."
        )
    if split != UNLABELLED and not given:
        raise PupilaError(
            f"{place} has no label: give one, or put the image into the split {UNLABELLED!r}."
        )
    return label if given else ""


def is_file(path: str) -> bool:
    """Tell whether a file is there and may be looked for."""
    try:
        return Path(path).is_file()
    except OSError:  # the name is too long for a file, or lies in a folder that may not be read
        return False


def _missing_files(path: Path, missing: Sequence[tuple[int, str]], rows: int) -> str:
    line, name = missing[0]
    return (
        f"{path}, line {line}: there is no file {name!r} in {str(path.parent)!r}. "
        f"{len(missing)} of {rows} rows name files that are not there; paths are relative to the "
        f"CSV."
    )
