"""Writes a crop of each image of a data set, and a CSV manifest of the crops."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pupila.cropping import crop, square_around
from pupila.images import decode
from pupila.spec import InputSpec

CSV_NAME = "crops.csv"


def write_crops(
    folder: Path,
    rows: Sequence[Mapping[str, str]],
    positions: NDArray[Any],
    source: Path,
    *,
    size: int,
    margin: float,
) -> Iterator[float]:
    """Crop images around positions into `folder`; yield the side of each square, in image pixels.

    `rows` has the values of the columns of the manifest, with the absolute `path` of an image.
    `positions` are x, y, half width and half height as fractions of the image's sides,
    `(images, 4)`; an image whose position is NaN is left out. Crops are PNG files of `size` pixels.
    Their paths below `folder` are those of the images below `source`, the folder of the data.
    """
    spec, made = InputSpec(height=size, width=size), list[dict[str, str]]()
    taken: set[str] = set()
    for row, position in zip(rows, positions, strict=True):
        if np.isnan(position).any():
            continue
        name = _free_name(Path(row["path"]), source, taken)
        image, side = _crop(Path(row["path"]), position, spec, margin)
        image.save(_with_parent(folder / name))
        made.append({**row, "path": name})
        yield side
    _write_csv(folder / CSV_NAME, made)


def _crop(
    path: Path, position: NDArray[Any], spec: InputSpec, margin: float
) -> tuple[Image.Image, float]:
    """Return the crop of an image, and the side of its square in pixels of the image."""
    image = decode(path)
    x, y, half_width, half_height = map(float, position)
    width, height = image.size
    centre, half = (x * width, y * height), (half_width * width, half_height * height)
    square = square_around(image.size, centre, half, margin)
    return Image.fromarray(crop(np.asarray(image, np.uint8), square, spec)), square.side


def _free_name(path: Path, source: Path, taken: set[str]) -> str:
    """Return a relative path for the crop of an image that no other crop has."""
    relative = path.relative_to(source) if path.is_relative_to(source) else Path(path.name)
    stem, number = relative.with_suffix(""), 1
    name = f"{stem.as_posix()}.png"
    while name in taken:
        number += 1
        name = f"{stem.as_posix()}-{number}.png"
    taken.add(name)
    return name


def _with_parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]) if rows else ["path"])
        writer.writeheader()
        writer.writerows(rows)
