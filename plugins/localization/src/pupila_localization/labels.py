"""Reads labels: a text with x, y, half width and half height in pixels of the file, or `absent`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pupila import Dataset, PupilaError
from pupila.dataset import UNLABELLED
from pupila.errors import list_names
from pupila.label_columns import LISTED_SIZE
from pupila_localization.columns import Floats

ABSENT = "absent"
"""Label of an image in which the thing is not there."""

_UNKNOWN = (np.nan,) * 5
_NOT_THERE = (*(np.nan,) * 4, 0.0)


def truths_of(images: Dataset) -> Floats:
    """Return what the labels say, `(images, 6)`; see `pupila_localization.columns`.

    Raises:
        PupilaError: a label is not a position and a size inside its image, or the data has several
            names.
    """
    if len(images.classes) != 1:
        raise PupilaError(
            f"`classes` of the data are {list_names(images.classes)}, but localization finds one "
            f"thing in an image: give one name."
        )
    columns = [images.frame[name].tolist() for name in ("label", "split", "width", "height")]
    rows = zip(images.paths, *columns, other_sizes(images), strict=True)
    return np.array([_truth(*row) for row in rows], np.float64).reshape(len(images), 6)


def other_sizes(images: Dataset) -> list[str]:
    """Say how the size of each file differs from the one in its CSV; empty where it does not.

    A CSV need not give sizes. If they differ, positions are in pixels of another file.
    """
    listed = [
        images.frame[name].tolist() if name in images.frame else [""] * len(images)
        for name in LISTED_SIZE.values()
    ]
    sides = [images.frame[name].tolist() for name in LISTED_SIZE]
    return [
        f"{width or '?'} x {height or '?'} pixels in the CSV, {own_width:g} x {own_height:g} in "
        f"the file"
        if _differs(width, own_width) or _differs(height, own_height)
        else ""
        for width, height, own_width, own_height in zip(*listed, *sides, strict=True)
    ]


def _differs(listed: str, pixels: float) -> bool:
    return bool(listed.strip()) and pixels > 0 and float(listed) != pixels


def _truth(
    path: Path, label: str, split: str, width: float, height: float, other_size: str
) -> tuple[float, ...]:
    if not (width > 0 and height > 0):
        raise PupilaError(
            f"{path}: its width and height are {width!r} and {height!r}, so its label cannot be "
            f"read: replace the file, or leave it out."
        )
    aspect = height / width
    if split == UNLABELLED:
        return (*_UNKNOWN, aspect)
    if other_size:
        raise PupilaError(
            f"{path}: its size is {other_size}: give the position in pixels of this very file, and "
            f"its own width and height."
        )
    if label == ABSENT:
        return (*_NOT_THERE, aspect)
    x, y, half_width, half_height = _numbers(path, label)
    if not (0 <= x <= width and 0 <= y <= height):
        raise PupilaError(
            f"{path}: the position is {x:g}, {y:g}, outside the image of {width:g} x {height:g} "
            f"pixels: give x and y in pixels of this very file, from its upper left corner."
        )
    if not (0 < half_width <= width and 0 < half_height <= height):
        raise PupilaError(
            f"{path}: half width and half height are {half_width:g} and {half_height:g}: expected "
            f"more than 0, and at most the {width:g} x {height:g} pixels of the image."
        )
    return (x / width, y / height, half_width / width, half_height / height, 1.0, aspect)


def _numbers(path: Path, label: str) -> tuple[float, float, float, float]:
    words = label.split()
    try:
        x, y, half_width, half_height = (float(word) for word in words)
    except ValueError:
        raise PupilaError(
            f"{path}: its label is {label!r}: expected one x, y, half_width and half_height, four "
            f"numbers in pixels, or all four empty where it is not there."
        ) from None
    return x, y, half_width, half_height
