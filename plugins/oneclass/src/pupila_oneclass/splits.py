"""Divides the images of a step by their use: training, calibration and measuring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, PupilaError, Step
from pupila_oneclass.config import ANY_IMAGE, LearnedClass


@dataclass(frozen=True)
class Splits:
    """Training and validation images of one class, and the validation images of all classes."""

    train: Dataset
    """Training images of the class."""
    validation: Dataset
    """Validation images of the class."""
    all_validation: Dataset
    """Validation images of all classes."""
    column: int
    """Index of the class in the data's classes."""

    @property
    def is_positive(self) -> NDArray[np.bool_]:
        """Mask `(images,)` of the images in `all_validation` that belong to the class."""
        return self.all_validation.labels == self.column


def splits_of(step: Step[Any]) -> Splits:
    """Return the images of a step, divided by use.

    Raises:
        PupilaError: the data does not have exactly two classes, has no class `positive`, or has no
            training or no validation image of this class.
    """
    config: LearnedClass = step.config
    images = _unlabelled(step.images) if config.positive is None else step.images
    all_validation = images.select("validation")
    config.check_classes(all_validation.classes)
    column = all_validation.classes.index(config.learned)
    train = _of_class(images.select("train"), column, "training")
    validation = _of_class(all_validation, column, "validation")
    return Splits(train, validation, all_validation, column)


def _unlabelled(images: Dataset) -> Dataset:
    """Return images as all of one class, whatever their labels and task."""
    frame = images.frame.copy()
    frame["label"] = ANY_IMAGE[0]
    return Dataset.of(frame, ANY_IMAGE, images.cache)


def _of_class(images: Dataset, column: int, what: str) -> Dataset:
    rows: NDArray[np.bool_] = images.labels == column
    if not rows.any():
        raise PupilaError(
            f"The data has no {what} image of {images.classes[column]!r}, the class to be learned: "
            f"give some, or correct `positive`."
        )
    return Dataset.of(images.frame[rows], images.classes, images.cache, images.task)
