"""Splits images into training, validation and test images; what belongs together stays so."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pupila import manifest
from pupila.errors import PupilaError, join_names, nearest
from pupila.folder_layout import SPLIT_OF
from pupila.image_formats import is_image
from pupila.runtime import Progress
from pupila.store import write_atomically
from pupila_flows.data.validation.duplicates import near_duplicates
from pupila_flows.recipe.expectations import Bounds

_FOLDS = 5
"""One fold is for testing, and of the rest one fold for validation: 20 % and 16 % of the images."""
_FEWEST = 10
"""Fewest images of a class, so that every split has some."""
_LABEL_COLUMNS = ("label", "class", "diagnosis", "target")
_PATH_COLUMNS = ("path", "file", "filename", "file_name", "image")


@dataclass(frozen=True)
class Images:
    """Images with their labels, and with their split if the data has one."""

    path: Path
    """What a recipe names: the data itself, or the manifest that was written."""
    frame: pd.DataFrame
    """A row for each image, with `path`, `label`, `split`, and what was measured."""
    unreadable: int = 0
    """Number of files that were left out, since they cannot be decoded."""
    groups: int | None = None
    """Number of groups of images that were kept together; None if the data had a split."""

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.frame["label"].astype(str)) - {""}))

    def counts(self, split: str) -> dict[str, int]:
        """Return the number of images of each class in a split."""
        labels = self.frame["label"][self.frame["split"] == split].astype(str)
        return {name: int((labels == name).sum()) for name in self.classes}


def find_images(
    source: Path, into: Path, cache: Path, patient: str | None, seed: int, progress: Progress
) -> Images:
    """Return the images of a folder or CSV; if they have no split, write one to the CSV `into`.

    `patient` is a column of the CSV, or a regular expression with one group that finds the patient
    in the name of a file.

    Raises:
        PupilaError: there are no images, a class has fewer than ten, or `patient` is neither.
    """
    if _has_split(source):
        frame = manifest.scan(manifest.read(source), cache, progress)
        return Images(source, frame)
    listing = _list_folder(source) if source.is_dir() else _list_csv(source)
    has_patients = patient is not None or "patient" in listing
    listing["patient"] = list(_patients(listing, patient))
    frame = manifest.scan(listing, cache, progress)
    readable = frame[frame["error"] == ""].reset_index(drop=True)
    _check_counts(readable, source)
    groups = group_images(readable, Bounds().near_duplicate_distance)
    labels = np.array(readable["label"].tolist())
    readable["split"] = split_images(labels, groups, seed)
    _write(readable, into, has_patients=has_patients)
    return Images(into, readable, len(frame) - len(readable), int(groups.max()) + 1)


def split_images(
    labels: NDArray[np.str_], groups: NDArray[np.int64], seed: int
) -> NDArray[np.str_]:
    """Return a split for each image: about 64 % `train`, 16 % `validation`, 20 % `test`.

    Each split has about the same share of each class, and images of one group are in one split.
    """
    selection: Any = import_module("sklearn.model_selection")
    split = np.full(len(labels), "train", dtype="U10")
    rest = np.arange(len(labels))
    for name in ("test", "validation"):
        folds = selection.StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
        kept, taken = next(iter(folds.split(rest, labels[rest], groups[rest])))
        split[rest[taken]] = name
        rest = rest[kept]
    return split


def group_images(frame: pd.DataFrame, distance: int) -> NDArray[np.int64]:
    """Return the number of each image's group: int64 `(images,)`.

    Images of one patient, equal files, and near-duplicates (of which at most `distance` bits of the
    perceptual hash differ) are in one group, and so is what is linked by others.
    """
    groups = np.arange(len(frame), dtype=np.int64)
    for column in ("patient", "sha256"):
        keys = np.array([str(key) for key in frame[column].tolist()])
        _, firsts, members = np.unique(keys, return_index=True, return_inverse=True)
        linked = np.flatnonzero(keys != "")
        groups = _merge(groups, linked, firsts[members.reshape(-1)][linked])
    while True:
        twins = near_duplicates(frame["phash"].tolist(), groups, distance)
        linked = np.flatnonzero(twins >= 0)
        if not len(linked):
            return groups
        groups = _merge(groups, linked, twins[linked])


def _merge(
    groups: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Join the groups of pairs of images, given by their rows."""
    sparse: Any = import_module("scipy.sparse")
    count = int(groups.max(initial=-1)) + 1
    pairs = (np.ones(len(first), bool), (groups[first], groups[second]))
    links = sparse.coo_array(pairs, shape=(count, count))
    _, joined = import_module("scipy.sparse.csgraph").connected_components(links, directed=False)
    return joined[groups].astype(np.int64)


def _has_split(source: Path) -> bool:
    if source.is_dir():
        return any(child.name in SPLIT_OF for child in source.iterdir() if child.is_dir())
    if not source.is_file():
        raise PupilaError(f"No images at {str(source)!r}: give a folder of classes, or a CSV.")
    return "split" in _header(source)


def _header(source: Path) -> list[str]:
    with source.open(encoding="utf-8-sig", newline="") as stream:
        return [name.strip() for name in next(csv.reader(stream), list[str]())]


def _list_folder(source: Path) -> pd.DataFrame:
    rows = [
        {"path": str(path.absolute()), "label": folder.name}
        for folder in sorted(child for child in source.iterdir() if child.is_dir())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and is_image(str(path))
    ]
    if len({row["label"] for row in rows}) < 2:
        raise PupilaError(
            f"{str(source)!r} has images in {len({row['label'] for row in rows})} folders. "
            f"Expected a folder for each class, with images in it: {source.name}/CLASS/*."
        )
    return pd.DataFrame(rows)


def _list_csv(source: Path) -> pd.DataFrame:
    table = pd.read_csv(source, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    table.columns = [name.strip() for name in table.columns]
    path, label = (_column(source, table, names) for names in (_PATH_COLUMNS, _LABEL_COLUMNS))
    table = table.rename(columns={path: "path", label: "label"})
    paths = [str((source.parent / name).absolute()) for name in table["path"]]
    missing = [name for name in paths if not Path(name).is_file()]
    if missing:
        raise PupilaError(
            f"{len(missing)} of the {len(paths)} files that {str(source)!r} names are missing, "
            f"first {missing[0]!r}: paths are relative to the CSV."
        )
    table["path"] = paths
    return table


def _column(source: Path, table: pd.DataFrame, names: tuple[str, ...]) -> str:
    known = [name for name in names if name in table.columns]
    if not known:
        raise PupilaError(
            f"{str(source)!r} has the columns {join_names(table.columns)}. Expected one of "
            f"{join_names(names)}: rename yours."
        )
    return known[0]


def _patients(listing: pd.DataFrame, patient: str | None) -> Iterator[str]:
    """Yield the patient of each image; an empty text where it is not known."""
    if patient is None or patient in listing.columns:
        column = patient or "patient"
        yield from listing[column].astype(str) if column in listing else [""] * len(listing)
        return
    try:
        pattern = re.compile(patient)
    except re.error as error:
        raise PupilaError(f"--patient {patient!r} cannot be read as a pattern: {error}.") from None
    names = [Path(path).name for path in listing["path"]]
    matches = [pattern.search(name) for name in names]
    if pattern.groups != 1 or not any(matches):
        columns = [name for name in listing.columns if name not in ("path", "label")]
        raise PupilaError(
            f"--patient {patient!r} is neither a column{nearest(patient, columns)} nor a pattern "
            f"with one group that matches names of files such as {names[0]!r}, as '^(P[0-9]+)_'."
        )
    yield from (match.group(1) if match else "" for match in matches)


def _check_counts(frame: pd.DataFrame, source: Path) -> None:
    counts = frame["label"].value_counts()
    few = counts[counts < _FEWEST]
    if len(counts) < 2 or len(few):
        listed = ", ".join(f"{count} of {name!r}" for name, count in counts.items())
        raise PupilaError(
            f"{str(source)!r} has {listed or 'no images'} that can be read. Expected two classes "
            f"or more, with {_FEWEST} images or more each, for training, validation and test."
        )


def _write(frame: pd.DataFrame, into: Path, *, has_patients: bool) -> None:
    """Write a manifest, with paths relative to it."""
    columns = ["path", "label", "split", *(["patient"] if has_patients else [])]
    table = frame[columns].copy()
    table["path"] = [os.path.relpath(path, into.absolute().parent) for path in frame["path"]]
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\n")
    into.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(into, text.getvalue().encode())
