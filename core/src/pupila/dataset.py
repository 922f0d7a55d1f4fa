"""A dataset: images listed in one pandas manifest, read as streams, known by a fingerprint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from pupila.contract import InputContract
from pupila.digest import digest_json
from pupila.errors import PupilaError, nearest
from pupila.images import decode, resize

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "validation", "test")
GROUP_COLUMNS = ("source", "site")
"""Manifest columns by which every evaluation is also shown."""


@dataclass(frozen=True)
class Dataset:
    """Rows of a scanned manifest (see `pupila.manifest`), with their class names in order.

    Arrays that belong to it have one row per image, in the order of `frame`.
    """

    frame: pd.DataFrame
    classes: tuple[str, ...]
    cache: Path
    """Folder for resized pixels; may be deleted at any time."""

    @classmethod
    def of(cls, frame: pd.DataFrame, classes: Sequence[str], cache: Path) -> Dataset:
        """Wrap a scanned manifest; rows are put in an order that ignores paths."""
        ordered = frame.sort_values(["sha256", "split", "label", "path"], kind="stable")
        return cls(ordered.reset_index(drop=True), tuple(classes), cache)

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over contents, labels and splits: the same wherever the files lie."""
        columns = [self.frame[name].tolist() for name in ("sha256", "label", "split")]
        rows = list(zip(*columns, strict=True))
        return digest_json({"classes": self.classes, "rows": rows})

    def select(self, split: str) -> Dataset:
        """Return the images of one split.

        Raises:
            PupilaError: the split has no image.
        """
        chosen = self.frame[self.frame["split"] == split].reset_index(drop=True)
        if chosen.empty:
            have = ", ".join(sorted(self.frame["split"].unique()))
            raise PupilaError(f"The data has no split {split!r}; it has: {have}.")
        return Dataset(chosen, self.classes, self.cache)

    def without(self, split: str) -> Dataset:
        """Return the images of all other splits."""
        kept = self.frame[self.frame["split"] != split].reset_index(drop=True)
        return Dataset(kept, self.classes, self.cache)

    @cached_property
    def paths(self) -> list[Path]:
        """File of each image."""
        return [Path(path) for path in self.frame["path"].tolist()]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Index into `classes` of each image.

        Raises:
            PupilaError: an image has a label that is none of the classes.
        """
        index = {name: number for number, name in enumerate(self.classes)}
        labels: list[str] = self.frame["label"].tolist()
        unknown = next((label for label in labels if label not in index), None)
        if unknown is not None:
            raise PupilaError(
                f"The data has images labelled {unknown!r}, but its classes are "
                f"{list(self.classes)}.{nearest(unknown, self.classes)}"
            )
        return np.array([index[label] for label in labels], np.int64)

    def image(self, row: int, contract: InputContract) -> NDArray[np.uint8]:
        """Decode and resize one image: uint8 `(height, width, 3)`."""
        return resize(decode(self.paths[row]), contract)

    def pixels(self, contract: InputContract) -> NDArray[np.uint8]:
        """Return all images as uint8 `(n, height, width, 3)`, mapped from disk, not in memory.

        They are decoded and resized once, whoever asks first.
        """
        key = digest_json([self.fingerprint, contract.model_dump(), version("pupila-core")])
        path = self.cache / "pixels" / f"{key}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                self._write_pixels(path, contract)
        return np.load(path, mmap_mode="r")

    def _write_pixels(self, path: Path, contract: InputContract) -> None:
        unfinished = path.with_suffix(".partial")
        shape = (len(self), *contract.shape)
        with unfinished.open("wb") as stream:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            # numpy does not type this function
            np.lib.format.write_array_header_1_0(stream, header)  # pyright: ignore[reportUnknownMemberType]
            for row in range(len(self)):
                stream.write(self.image(row, contract).tobytes())
        unfinished.replace(path)
