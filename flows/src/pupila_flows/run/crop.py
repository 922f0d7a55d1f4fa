"""Crops the images of a data set for `pupila crop`, around what a locator finds."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.cropping import MARGIN
from pupila.data_source import ReaderChoice
from pupila.dataset import UNLABELLED, Dataset
from pupila.errors import PupilaError
from pupila.label_columns import LabelColumns
from pupila.paths import folder_problem
from pupila.plugin_registry import installed
from pupila.task import methods_of
from pupila_flows.data.crops import CSV_NAME, write_crops
from pupila_flows.data.external.listing import Row, list_images
from pupila_flows.data.external.reading import scan_rows
from pupila_flows.jobs.predict import Predict
from pupila_flows.progress import current_display
from pupila_flows.results import SkippedImage
from pupila_flows.run.given_models import import_model, planned_models
from pupila_flows.run.single import perform_alone
from pupila_flows.workspace import Workspace

LOCALIZATION = "localization"
_PRESENT = 0.5
"""Presence from which a thing counts as there, unless the locator ships with a threshold."""
_TITLE = "crops"


@dataclass(frozen=True)
class CropRequest:
    """Which images to crop, where, and how: the arguments of `pupila crop`."""

    data: Path
    output: Path
    locator: Path | None = None
    """The locator; None to crop at the positions in the data."""
    size: int = 224
    margin: float = MARGIN


@dataclass(frozen=True)
class CroppedData:
    """The crops of a data set."""

    manifest: Path
    crops: int
    absent: tuple[Path, ...]
    """Images that were left out because nothing to crop was found in them."""
    skipped: tuple[SkippedImage, ...]
    """Files that cannot be read."""
    enlarged: tuple[float, ...]
    """Sides of the squares with fewer pixels than their crops, in pixels of the images."""


def crop_data(workspace: Workspace, request: CropRequest) -> CroppedData:
    """Write a crop of each image, and a CSV manifest that keeps the other columns.

    Raises:
        PupilaError: the images, the locator or the positions cannot be read, nothing is found in
            any image, or `output` is not a new or empty folder.
    """
    _check_output(request.output)
    listing = list_images(request.data, choice=ReaderChoice(cache=workspace.cache))
    frame, skipped = scan_rows(str(request.data), listing, workspace.cache)
    frame["split"], frame["label"] = UNLABELLED, ""
    names = installed().task(LOCALIZATION).default_classes
    images = Dataset.of(frame, names, workspace.cache)
    by_path = {row["path"]: row for row in listing.rows}
    rows = [by_path[str(path)] for path in images.paths]
    if request.locator is None:
        positions = _given_positions(request.data, images, rows)
    else:
        positions = _positions(workspace, request.locator, images)
    is_absent: list[bool] = np.isnan(positions).any(axis=1).tolist()
    absent = tuple(itertools.compress(images.paths, is_absent))
    if len(absent) == len(images):
        raise PupilaError(
            f"Nothing to crop was found in any of the {len(images)} images of "
            f"{str(request.data)!r}: give another locator, or images that show what it looks for."
        )
    sides = _write(request, images, rows, positions)
    enlarged = tuple(side for side in sides if side < request.size)
    return CroppedData(request.output / CSV_NAME, len(sides), absent, skipped, enlarged)


def _write(
    request: CropRequest, images: Dataset, rows: Sequence[Row], positions: NDArray[Any]
) -> list[float]:
    """Write the crops and their CSV; return the sides of their squares in pixels of the images."""
    folder = request.data if request.data.is_dir() else request.data.parent
    task = installed().task(LOCALIZATION)
    beside = LabelColumns.beside(list(rows[0]), task)
    columns = [name for named in beside for name in named.columns]
    order = sorted(range(len(rows)), key=lambda number: rows[number]["path"])
    kept = [_without(rows[number], columns) for number in order]
    display, sides = current_display.get(), list[float]()
    for side in write_crops(
        request.output,
        kept,
        positions[order],
        folder.absolute(),
        size=request.size,
        margin=request.margin,
    ):
        sides.append(side)
        display.update(_TITLE, len(sides), len(images), "images")
    display.finish(_TITLE, f"{len(sides)} crops")
    return sides


def _without(row: Row, columns: Sequence[str]) -> Row:
    """Return the values of a row without positions, and without a label or split if it has none."""
    left_out = {*columns, *(name for name in ("label", "split") if not row[name])}
    return {name: value for name, value in row.items() if name not in left_out}


def _check_output(folder: Path) -> None:
    reason = folder_problem(folder)
    if reason is None and folder.is_dir() and any(folder.iterdir()):
        reason = "is not empty"
    if reason:
        raise PupilaError(f"{str(folder)!r} {reason}: name a new folder for the crops.")


def _given_positions(data: Path, images: Dataset, rows: Sequence[Row]) -> NDArray[Any]:
    """Return the positions that the data has, `(images, 4)`; NaN where nothing is.

    Raises:
        PupilaError: the data has no positions, or some of them are wrong.
    """
    named = LabelColumns.find(str(data), list(rows[0]), installed().task(LOCALIZATION))
    columns = named.columns
    missing = next((name for name in columns if name not in rows[0]), None)
    if missing:
        raise PupilaError(
            f"{str(data)!r} has no column {missing!r}: give a locator with `--with`, or a CSV with "
            f"the columns {', '.join(columns)}."
        )
    labels = [named.label_of(row["path"], row) for row in rows]
    frame = images.frame.copy()
    frame["label"], frame["split"] = labels, "test"
    labelled = replace(images, frame=frame, task=LOCALIZATION)
    return np.asarray(methods_of(LOCALIZATION).truths(labelled))[:, :4]


def _positions(workspace: Workspace, locator: Path, images: Dataset) -> NDArray[Any]:
    """Return the positions that a locator finds, `(images, 4)`; NaN where it finds nothing.

    Raises:
        PupilaError: it is not a locator of one thing.
    """
    (planned,) = planned_models([locator], None, (), None, LOCALIZATION)
    if planned.spec.task != LOCALIZATION or len(planned.spec.classes) != 1:
        raise PupilaError(
            f"{str(locator)!r} has learned {planned.spec.task} of {len(planned.spec.classes)} "
            f"classes: give a model of the task {LOCALIZATION} that finds one thing."
        )
    artifact = import_model(workspace, planned)
    located = perform_alone(Predict.of(workspace, "locate", artifact, images))
    answers = np.load(located.answers)
    threshold = artifact.record.threshold
    there = answers[:, 4] >= (threshold.value if threshold else _PRESENT)
    return np.where(there[:, np.newaxis], answers[:, :4], np.nan)
