"""Records the images that a model was trained or chosen on, as far as they are known.

An evaluation on images that a model was trained on proves nothing. So the hashes of these images
are stored in a file beside the artifact's record, and are copied with the artifact.
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
from pupila_flows.data.validation.duplicates import HASH_DIGITS, near_duplicates


class TrainingImages(BaseModel):
    """Hashes of all images on which a model was trained or chosen.

    The images of all models from which the model was made are included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    complete: bool = Field(description="Whether `images` is known to be complete.")
    images: dict[str, str] = Field(
        description="Perceptual hash of each picture, by the SHA-256 of its file."
    )

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Return the hashes of all images of a dataset except its test images."""
        frame = dataset.frame[dataset.frame["split"] != "test"]
        hashes = zip(frame["sha256"].tolist(), frame["phash"].tolist(), strict=True)
        return cls(complete=True, images=dict(sorted(hashes)))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read an artifact's training images; None if the file is missing or cannot be read."""
        try:
            return cls.model_validate_json(read_plain(folder / TRAINING_IMAGES_NAME))
        except (OSError, ValidationError):
            return None

    @classmethod
    def put_aside_damaged(cls, folder: Path) -> bool:
        """Move a damaged file of training images aside; return False if no file is damaged."""
        damaged = (folder / TRAINING_IMAGES_NAME).exists() and cls.read(folder) is None
        if damaged:
            put_aside(folder / TRAINING_IMAGES_NAME)
        return damaged

    def write(self, folder: Path) -> None:
        """Write the hashes into the folder of an artifact, or of a stored teacher's record."""
        write_atomically(folder / TRAINING_IMAGES_NAME, self.model_dump_json().encode())

    @classmethod
    def merge(cls, sources: Iterable[TrainingImages | None]) -> Self:
        """Return the images of a model that was made from several models.

        `sources` has one entry for each of the several models: the model's images, or None if the
        images are unknown.
        """
        every = list(sources)
        known = [source for source in every if source]
        images = {sha256: phash for source in known for sha256, phash in source.images.items()}
        complete = len(known) == len(every) and all(source.complete for source in known)
        return cls(complete=complete, images=dict(sorted(images.items())))


def seen_in_training(known: TrainingImages, dataset: Dataset, distance: int) -> list[Path]:
    """Return the test images of `dataset` that are among the training images `known` of a model.

    Two images are the same if their files are equal, or if their perceptual hashes differ in at
    most `distance` bits, as in data validation. Test images that are also training images of
    `dataset` are left out: every pupil has seen them too, and data validation reports them.
    """
    own = TrainingImages.of(dataset).images
    others = {sha256: phash for sha256, phash in known.images.items() if sha256 not in own}
    test = dataset.select("test")
    in_own = find_repeats(own, test, distance)
    in_others = find_repeats(others, test, distance)
    repeats = zip(test.paths, in_own, in_others, strict=True)
    return [path for path, own_repeat, seen in repeats if seen and not own_repeat]


def find_repeats(images: dict[str, str], dataset: Dataset, distance: int) -> list[bool]:
    """Tell for each image of `dataset` whether it is (nearly) the same as one of `images`.

    `images` has perceptual hashes by the SHA-256 of the file. Two images are nearly the same if
    their perceptual hashes differ in at most `distance` bits. Hashes of another length, from
    earlier versions, are not compared.
    """
    sha256: list[str] = dataset.frame["sha256"].tolist()
    hashes: list[str] = dataset.frame["phash"].tolist()
    theirs = [phash for phash in images.values() if len(phash) == HASH_DIGITS]
    readable = [row for row, phash in enumerate(hashes) if phash]
    splits = np.repeat(np.array([0, 1], np.int64), [len(theirs), len(readable)])
    near = near_duplicates([*theirs, *(hashes[row] for row in readable)], splits, distance)
    alike = set(np.array(readable, np.int64)[near[len(theirs) :] >= 0].tolist())
    return [digest in images or row in alike for row, digest in enumerate(sha256)]
