"""Which images a model was learned or chosen from, so far as that is known.

They lie beside an artifact's record, as hashes alone, and go where the artifact goes. A model that
was trained on images by which it is judged proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pupila.artifact import TRAINING_IMAGES_NAME
from pupila.damage import put_aside
from pupila.dataset import Dataset
from pupila.paths import read_plain
from pupila.store import write_atomically
from pupila_flows.data.validation.duplicates import near_duplicates


class TrainingImages(BaseModel):
    """Hashes of the images of training and validation, of a model and all that it was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    complete: bool = Field(description="Whether nothing it was made from has unknown images.")
    images: dict[str, str] = Field(
        description="By SHA-256 of the file: the perceptual hash of the picture."
    )

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Return all images of a dataset but those of its test split."""
        frame = dataset.frame[dataset.frame["split"] != "test"]
        hashes = zip(frame["sha256"].tolist(), frame["phash"].tolist(), strict=True)
        return cls(complete=True, images=dict(sorted(hashes)))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return what lies beside an artifact; None where nothing does that can be read."""
        try:
            return cls.model_validate_json(read_plain(folder / TRAINING_IMAGES_NAME))
        except (OSError, ValidationError):
            return None

    @classmethod
    def put_aside_damaged(cls, folder: Path) -> bool:
        """Put the file beside an artifact of our own store aside, where it cannot be read."""
        damaged = (folder / TRAINING_IMAGES_NAME).exists() and cls.read(folder) is None
        if damaged:
            put_aside(folder / TRAINING_IMAGES_NAME)
        return damaged

    def write(self, folder: Path) -> None:
        """Put it beside an artifact, or beside the record of a stored teacher."""
        write_atomically(folder / TRAINING_IMAGES_NAME, self.model_dump_json().encode())

    @classmethod
    def together(cls, parts: Iterable[TrainingImages | None]) -> Self:
        """Return the images of a model that was made from several; None has unknown images."""
        known = list(parts)
        images = {sha256: phash for part in known if part for sha256, phash in part.images.items()}
        complete = all(part is not None and part.complete for part in known)
        return cls(complete=complete, images=dict(sorted(images.items())))


def seen_in_training(known: TrainingImages, dataset: Dataset, distance: int) -> list[Path]:
    """Return the test images of `dataset` that a model was trained on: the same files or pictures.

    Pictures are the same whose perceptual hashes differ in at most `distance` bits of 64, as in the
    validation of the data. Those that this data's own training images repeat are left out: every
    pupil has seen them as well, and the validation of the data tells of them.
    """
    own = TrainingImages.of(dataset).images
    others = {sha256: phash for sha256, phash in known.images.items() if sha256 not in own}
    test = dataset.select("test")
    again = repeated(own, test, distance)
    return [
        path
        for path, seen, repeats in zip(
            test.paths, repeated(others, test, distance), again, strict=True
        )
        if seen and not repeats
    ]


def repeated(images: dict[str, str], judged: Dataset, distance: int) -> list[bool]:
    """Tell for each image of a dataset whether it is among some, or nearly the same picture.

    `images` are perceptual hashes by SHA-256 of the file.
    """
    sha256: list[str] = judged.frame["sha256"].tolist()
    hashes: list[str] = judged.frame["phash"].tolist()
    theirs = [phash for phash in images.values() if phash]
    readable = [row for row, phash in enumerate(hashes) if phash]
    splits = np.repeat(np.array([0, 1], np.int64), [len(theirs), len(readable)])
    near = near_duplicates([*theirs, *(hashes[row] for row in readable)], splits, distance)
    alike = set(np.array(readable, np.int64)[near[len(theirs) :] >= 0].tolist())
    return [digest in images or row in alike for row, digest in enumerate(sha256)]
