"""Reads the images of an open-set evaluation; all of them must be readable."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from pupila import manifest
from pupila.dataset import Dataset
from pupila_flows.data.open_set.near_misses import list_near_misses
from pupila_flows.data.reading import check_readable
from pupila_flows.progress import current_display


def read_near_misses(path: Path, classes: tuple[str, ...], cache_folder: Path) -> Dataset:
    """Read and measure all near misses; return them as test images, labelled by group.

    Raises:
        PupilaError: a near miss cannot be read, or the near misses are not listed correctly.
    """
    files = list_near_misses(path)
    rows = [(file, group, "test") for file, group in files]
    dataset = scan_images(rows, classes, cache_folder, "near misses")
    current_display.get().finish("near misses", f"{len(files)} images")
    return dataset


def scan_images(
    rows: list[tuple[str, str, str]], classes: tuple[str, ...], cache_folder: Path, title: str
) -> Dataset:
    """Read and measure images; a row has the file, label and split of one image.

    `title` names the images in the display of progress and in an error message.

    Raises:
        PupilaError: an image cannot be read.
    """
    listing = pd.DataFrame(rows, columns=["path", "label", "split"])
    progress = partial(current_display.get().update, title)
    frame = manifest.scan(listing, cache_folder, progress)
    check_readable(frame, title, "Replace the files, or take them out.")
    return Dataset.of(frame, classes, cache_folder)
