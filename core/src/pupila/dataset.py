"""A dataset: images listed in a pandas manifest, with cached pixels and a fingerprint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from pupila.arrays import Pixels, is_whole, write_rows
from pupila.digest import digest_json
from pupila.errors import PupilaError, list_names, nearest
from pupila.images import decode, resize
from pupila.plugin import CLASSIFICATION
from pupila.requirements import CORE, versions
from pupila.spec import InputSpec

if TYPE_CHECKING:
    import pandas as pd

LABELLED_SPLITS = ("train", "validation", "test")
UNLABELLED = "unlabelled"
"""Name of the split of images without labels, on which students learn a teacher's answers."""
SPLITS = (*LABELLED_SPLITS, UNLABELLED)
GROUP_COLUMNS = ("source", "site")
"""Columns of the manifest. Evaluations also give separate metrics for each of their values."""


@dataclass(frozen=True)
class Dataset:
    """Rows of a scanned manifest (see `pupila.manifest`), and the class names in order.

    Arrays for a dataset have one row per image, in the order of `frame`.
    """

    frame: pd.DataFrame
    classes: tuple[str, ...]
    cache: Path
    """Folder that caches resized pixels; it may be deleted at any time."""
    task: str = CLASSIFICATION
    """What the labels mean, see `pupila.task`. In other tasks, `classes` are the names of what the
    labels are about."""

    @classmethod
    def of(
        cls,
        frame: pd.DataFrame,
        classes: Sequence[str],
        cache: Path,
        task: str = CLASSIFICATION,
    ) -> Dataset:
        """Return the dataset of a scanned manifest; rows are sorted by content, not by path."""
        ordered = frame.sort_values(["sha256", "split", "label", "path"], kind="stable")
        return cls(ordered.reset_index(drop=True), tuple(classes), cache, task)

    def of_frame(self, frame: pd.DataFrame) -> Dataset:
        """Return a dataset of other rows with these classes, cache and task, in the same order."""
        return replace(self, frame=frame.reset_index(drop=True))

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the classes and of the images' contents, labels and splits, without paths.

        Of images that a package decodes, the versions of the package are part of it.
        """
        columns = [self.frame[name].tolist() for name in ("sha256", "label", "split")]
        rows = list(zip(*columns, strict=True))
        task = {} if self.task == CLASSIFICATION else {"task": self.task}
        decoders = self._decoders
        decoded = {"decoders": decoders} if any(decoders) else {}
        return digest_json({"classes": self.classes, "rows": rows, **task, **decoded})

    @property
    def _decoders(self) -> list[str]:
        """What decodes each image; "" for core itself, and for images that a run has made."""
        if "decoder" not in self.frame:
            return []
        column = self.frame["decoder"].astype(object)
        return column.where(column.notna(), "").tolist()

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that have images, in the order of `SPLITS`."""
        present = set(self.frame["split"].unique())
        return tuple(split for split in SPLITS if split in present)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Number of images, as `{split: {class: number}}`.

        In tasks without classes, all labelled images of a split count as of the first name.
        """
        by_split: dict[str, dict[str, int]] = {}
        labels: list[str] = self.frame["label"].tolist()
        if self.task != CLASSIFICATION:
            labels = [self.classes[0] if label else "" for label in labels]
        rows = zip(self.frame["split"].tolist(), labels, strict=True)
        for (split, label), number in sorted(Counter(rows).items()):
            by_split.setdefault(split, {})[label] = number
        return by_split

    def select(self, *splits: str) -> Dataset:
        """Return the images of one or several splits as one dataset.

        Raises:
            PupilaError: one of the splits has no image.
        """
        absent = next((split for split in splits if split not in self.splits), None)
        if absent is not None:
            have = ", ".join(self.splits)
            raise PupilaError(f"The data has no split {absent!r}; it has: {have}.")
        return self.of_frame(self.frame[self.frame["split"].isin(splits)])

    def without(self, split: str) -> Dataset:
        """Return a dataset of the images of all splits but this one."""
        return self.of_frame(self.frame[self.frame["split"] != split])

    @cached_property
    def paths(self) -> list[Path]:
        """Path of each image's file."""
        return [Path(path) for path in self.frame["path"].tolist()]

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Class of each image as an index into `classes`, `(images,)`; -1 for unlabelled images.

        Raises:
            PupilaError: an image has a label that is not one of the classes.
        """
        index: dict[str | None, int] = {None: -1}
        index |= {name: number for number, name in enumerate(self.classes)}
        rows = zip(self.frame["split"].tolist(), self.frame["label"].tolist(), strict=True)
        names = [None if split == UNLABELLED else str(label) for split, label in rows]
        unknown = next((name for name in names if name not in index), None)
        if unknown is not None:
            raise PupilaError(
                f"The data has images labelled {unknown!r}, but its classes are "
                f"{list_names(self.classes)}.{nearest(unknown, self.classes)}"
            )
        return np.array([index[name] for name in names], np.int64)

    @cached_property
    def strata(self) -> NDArray[np.int64]:
        """Group of each image, for samples that are spread evenly over them.

        These are the classes; in other tasks, all images are one group.
        """
        if self.task == CLASSIFICATION:
            return self.labels
        return np.zeros(len(self), np.int64)

    @cached_property
    def patients(self) -> NDArray[np.str_] | None:
        """Patient of each image, `(images,)`; None if the column `patient` is missing or empty.

        Each image without a value gets a patient of its own.
        """
        if "patient" not in self.frame:
            return None
        column = self.frame["patient"].astype(object)
        names: list[str] = column.where(column.notna(), "").astype(str).tolist()
        known = [name or f"\0{row}" for row, name in enumerate(names)]
        return np.array(known) if any(names) else None

    def rows_by_value(self, column: str) -> dict[str, NDArray[np.int64]]:
        """Return the rows of the images with each value of a column, as `{value: rows}`.

        Images without a value are left out.
        """
        given = self.frame[column].astype(object)
        values = np.array(given.where(given.notna(), "").astype(str).tolist())
        names = sorted(set(values.tolist()) - {""})
        return {name: np.flatnonzero(values == name) for name in names}

    def image(self, row: int, spec: InputSpec) -> NDArray[np.uint8]:
        """Return the image of a row, resized for a model's input: uint8 `(height, width, 3)`."""
        return resize(decode(self.paths[row]), spec)

    def pixels(self, spec: InputSpec) -> Pixels:
        """Return all images, resized for a model's input: uint8 `(images, height, width, 3)`.

        The pixels are in a file on disk, not in memory. Images are decoded and resized once, at the
        first call; later calls and other processes reuse the file.
        """
        key = digest_json([self.fingerprint, spec.model_dump(), versions(CORE)])
        path = self.cache / "pixels" / f"{key}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not is_whole(path, len(self)):
                images = (self.image(row, spec)[np.newaxis] for row in range(len(self)))
                write_rows(path, len(self), images)
            return Pixels(path)
