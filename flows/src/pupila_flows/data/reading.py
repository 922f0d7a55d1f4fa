"""Reads the images that a recipe or a command names, and shows the progress."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pupila import PupilaError, layout, manifest
from pupila.data_source import AUTOMATIC, ReaderChoice
from pupila.dataset import LABELLED_SPLITS, UNLABELLED, Dataset
from pupila.image_formats import describe_left_out
from pupila.plugin import CLASSIFICATION
from pupila_flows.progress import current_display

if TYPE_CHECKING:
    import pandas as pd


def read_data(
    path: Path,
    classes: tuple[str, ...] | None,
    cache: Path,
    task: str = CLASSIFICATION,
    choice: ReaderChoice = AUTOMATIC,
) -> Dataset:
    """List and measure the images of a data set, labelled for a task.

    `choice` says which reader lists them, by default the one that recognises the data. A measured
    file is opened again only if it has changed. If `classes` is None, the classes are the labels in
    alphabetical order, or what the labels are about (see `pupila.layout.names`).

    Raises:
        PupilaError: the images cannot be listed, or all are unlabelled and `classes` is None.
    """
    display = current_display.get()
    choice = replace(choice, cache=cache)
    listing = manifest.read(path, task, classes, choice)
    frame = manifest.scan(listing, cache, partial(display.update, "data"))
    left_out = describe_left_out(listing.attrs["left_out"])
    display.finish("data", f"{len(frame)} images{left_out}")
    names = layout.names(path, task, classes, choice) or _classes_of(frame, path)
    return Dataset.of(frame, names, cache, task)


def check_readable(frame: pd.DataFrame, images: str, advice: str) -> None:
    """Refuse a scanned frame with files that do not decode.

    Raises:
        PupilaError: a file does not decode. The message calls the files `images` and ends with
            `advice`.
    """
    broken = frame[frame["error"] != ""]
    if len(broken):
        first = broken.iloc[0]
        raise PupilaError(
            f"{len(broken)} of the {len(frame)} {images} cannot be read, first {first['path']!r}: "
            f"{first['error']}. {advice}"
        )


def _classes_of(frame: pd.DataFrame, path: Path) -> tuple[str, ...]:
    """Return the labels of the labelled images in alphabetical order."""
    labels = frame["label"][frame["split"] != UNLABELLED]
    if labels.empty:
        raise PupilaError(
            f"The {len(frame)} images of {str(path)!r} are all unlabelled: add labelled ones in "
            f"the splits {', '.join(LABELLED_SPLITS)}."
        )
    return tuple(sorted(set(labels.tolist())))
