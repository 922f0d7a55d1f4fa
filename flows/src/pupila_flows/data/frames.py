"""Writes scanned manifests ("frames") to files, and reads them in the processes that do jobs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pupila.damage import put_aside
from pupila.dataset import Dataset
from pupila.digest import digest_json
from pupila.plugin import CLASSIFICATION
from pupila.scanning import NUMBERS
from pupila.store import write_atomically


def write_frame(frame: pd.DataFrame, cache: Path) -> Path:
    """Write a frame as a CSV below `cache`, named by the digest of its content; return the file."""
    text = frame.to_csv(index=False)
    path, content = cache / "frames" / f"{digest_json(text)}.csv", text.encode()
    if path.exists() and path.read_bytes() != content:
        put_aside(path)
    if not path.exists():
        write_atomically(path, content)
    return path


def read_dataset(
    path: Path | str, classes: list[str], cache: Path, task: str = CLASSIFICATION
) -> Dataset:
    """Return the dataset in a file of `write_frame`, with `classes` in the given order."""
    head = pd.read_csv(path, nrows=0)
    texts = {name: "str" for name in head.columns if name not in NUMBERS}
    unknown = {name: [""] for name in NUMBERS}  # of files that do not decode
    frame = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=unknown)
    return Dataset.of(frame, classes, cache, task)
