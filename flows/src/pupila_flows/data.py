"""Reads the images of a recipe or a command, with progress."""

from __future__ import annotations

from pathlib import Path

from pupila import manifest
from pupila.dataset import Dataset
from pupila_flows import display


def read_data(path: Path, classes: tuple[str, ...] | None, cache: Path) -> Dataset:
    """List and measure the images; files that did not change are not opened again."""
    shown = display.current.get()

    def progress(done: int, total: int, what: str) -> None:
        shown.update("data", done, total, what)

    frame = manifest.scan(manifest.read(path), cache, progress)
    shown.finish("data", f"{len(frame)} images")
    return Dataset.of(frame, classes or tuple(sorted(set(frame["label"].tolist()))), cache)
