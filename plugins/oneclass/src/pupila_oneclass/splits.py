"""The images of a step, as far as each may be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, PupilaError, Step
from pupila_oneclass.config import OneClass


@dataclass(frozen=True)
class Splits:
    """Images of the class, and those of others that are measured and nothing else."""

    train: Dataset
    """Training images of the class."""
    validation: Dataset
    """Validation images of the class."""
    judged: Dataset
    """All validation images."""
    column: int
    """Of the class, among those of the data."""

    @property
    def is_positive(self) -> NDArray[np.bool_]:
        """Which of the judged images are of the class `(images,)`."""
        return self.judged.labels == self.column


def splits_of(step: Step[OneClass]) -> Splits:
    """Return the images of a step.

    Raises:
        PupilaError: the class is none of the data's two, or has no image to learn from or to judge.
    """
    judged = step.split("validation")
    step.config.check_classes(judged.classes)
    column = judged.classes.index(step.config.positive)
    train = _of_class(step.split("train"), column, "training")
    return Splits(train, _of_class(judged, column, "validation"), judged, column)


def _of_class(images: Dataset, column: int, what: str) -> Dataset:
    rows: NDArray[np.bool_] = images.labels == column
    if not rows.any():
        raise PupilaError(
            f"There is no {what} image of {images.classes[column]!r}, the class to be learned: "
            f"give some, or correct `positive`."
        )
    return Dataset.of(images.frame[rows], images.classes, images.cache)
