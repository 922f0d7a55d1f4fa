"""Reads data: images that are NumPy arrays, and lists of images as `train.txt`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pupila import (
    Config,
    DatasetReader,
    DataSource,
    ImageFormat,
    ListedImage,
    PupilaError,
    hookimpl,
)

_SPLITS = ("train", "validation", "test")


class TextLists(Config):
    """Settings of `text-lists`."""

    separator: str = Field(default=" ", description="What is between a path and its label.")


@hookimpl
def pupila_images() -> Iterator[ImageFormat]:
    """Yield the one format of this package."""
    yield ImageFormat(
        name="npy",
        summary="NumPy arrays of uint8 or uint16, in .npy files",
        suffixes=frozenset({".npy"}),
        recognises=lambda head: head.startswith(b"\x93NUMPY"),
        implementation=f"{__name__}:read_array",
    )


@hookimpl
def pupila_datasets() -> Iterator[DatasetReader]:
    """Yield the one reader of this package."""
    yield DatasetReader(
        name="text-lists",
        summary="A folder with train.txt, validation.txt and test.txt: a path and a label a line",
        recognises=lambda path: (path / "train.txt").is_file(),
        config=TextLists,
        implementation=f"{__name__}:read_lists",
    )


def read_array(path: Path) -> NDArray[Any]:
    """Return the array `(height, width)` or `(height, width, 3)` in a file.

    Arrays of Python objects, which could run code, are refused.
    """
    return np.load(path, allow_pickle=False)


def read_lists(source: DataSource[TextLists]) -> Iterator[ListedImage]:
    """List the images of each split.

    Raises:
        PupilaError: a line has no label.
    """
    for split in _SPLITS:
        listing = source.path / f"{split}.txt"
        lines = listing.read_text().splitlines() if listing.is_file() else []
        for number, line in enumerate(lines, start=1):
            path, _, label = line.rpartition(source.config.separator)
            if not path:
                raise PupilaError(f"{listing}, line {number} is {line!r}: expected path and label.")
            origin = f"{listing.name}, line {number}"
            yield ListedImage(origin, {"path": path, "label": label, "split": split})
