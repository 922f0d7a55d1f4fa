"""What a label is: one number, which is a text in the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, PupilaError
from pupila.dataset import UNLABELLED
from pupila.task import LabelRule

Floats = NDArray[np.float64]

_LARGEST = float(np.finfo(np.float32).max)
_FAR_OUT = 3.0
"""Interquartile ranges beyond the quartiles from which a number is reported (Tukey 1977,
"Exploratory Data Analysis", where such numbers are "far out")."""


def number_of(text: str) -> float | None:
    """Return the number that a text gives; None if it gives none that is finite in 32 bits."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) <= _LARGEST else None


def numbers_of(images: Dataset) -> Floats:
    """Return the label of each image, `(images,)`; NaN for unlabelled images.

    Raises:
        PupilaError: a label is not a number.
    """
    columns = [images.frame[name].tolist() for name in ("label", "split")]
    return np.array([_number(*row) for row in zip(images.paths, *columns, strict=True)], np.float64)


def _number(path: Path, label: str, split: str) -> float:
    if split == UNLABELLED:
        return np.nan
    number = number_of(label)
    if number is None:
        raise PupilaError(f"{path}: its label is {label!r}: expected one number, such as 12.5.")
    return number


def label_rules(images: Dataset) -> Sequence[LabelRule]:
    """Return the rules on the numbers of all images together."""
    numbers = numbers_of(images)
    equal = len(numbers) > 0 and np.ptp(numbers) == 0
    return (
        LabelRule(
            name="The numbers are not all the same",
            column="variety",
            faults=[f"{number:g}" if equal else "" for number in numbers],
            advice="Give images with different numbers: nothing is learned from a constant.",
        ),
        LabelRule(
            name="No number is far from the others",
            column="usual_number",
            faults=[
                f"{number:g}" if far else ""
                for number, far in zip(numbers, _far_out(numbers), strict=True)
            ],
            advice=f"Look at these for slips and other units: they are more than {_FAR_OUT:g} "
            f"interquartile ranges beyond the quartiles.",
            severity="warning",
        ),
    )


def _far_out(numbers: Floats) -> NDArray[np.bool_]:
    """Return which numbers are far out; none if half of all numbers are the same."""
    if not len(numbers):
        return np.zeros(0, np.bool_)
    low, high = np.quantile(numbers, [0.25, 0.75])
    reach = _FAR_OUT * (high - low)
    return (reach > 0) & ((numbers < low - reach) | (numbers > high + reach))
