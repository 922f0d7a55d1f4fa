"""Reads and writes the manifests of the scripts beside it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

COLUMNS = ("path", "label", "split", "source")
Row = tuple[str, str, str, str]
"""Path, label, split and source of an image."""


def read(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV."""
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write a manifest."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
