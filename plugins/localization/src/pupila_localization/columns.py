"""The columns of answers and truths, and how far one is from the other.

For each name, an answer has x, y, half width, half height and presence, `(images, 5 · names)`.
Positions and half sizes are fractions of the image: x and half width of its width, y and half
height of its height. Presence is the probability that the thing is there.

Truths have the same columns for each name, and then the aspect height / width of the image file,
`(images, 5 · names + 1)`. Their presence is 0 or 1, or NaN without a label; the other four are NaN
unless the thing is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

PARTS = ("x", "y", "half_width", "half_height", "presence")
X, Y, HALF_WIDTH, HALF_HEIGHT, PRESENCE = range(len(PARTS))

PRESENT = 0.5
"""Probability from which something counts as present, unless a model ships with another one."""


def by_name(answers: NDArray[Any]) -> Floats:
    """Return answers as `(images, names, 5)`, without the column of aspects that truths have."""
    names = answers.shape[1] // len(PARTS)
    return np.asarray(answers, np.float64)[:, : names * len(PARTS)].reshape(-1, names, len(PARTS))


@dataclass(frozen=True)
class Differences:
    """How answers differ from truths, one value `(images, names)` each.

    Lengths are fractions of the image file's width. Values are NaN where a truth says that nothing
    is there, or nothing at all.
    """

    distance: Floats
    """Between the two centres."""
    radius: Floats
    """True radius: the mean of half width and half height."""
    size_error: Floats
    """|radius - true radius| / true radius."""
    overlap: Floats
    """Intersection over union of the boxes."""

    @classmethod
    def of(cls, answers: NDArray[Any], truths: NDArray[Any]) -> Differences:
        """Compare answers `(images, 5 · names)` with truths `(images, 5 · names + 1)`."""
        ours, theirs = by_name(answers), by_name(truths)
        aspect = np.asarray(truths, np.float64)[:, -1:, np.newaxis]
        scale = np.concatenate([np.ones_like(aspect), aspect], axis=-1)
        centre, half = ours[..., :2] * scale, ours[..., 2:4] * scale
        true_centre, true_half = theirs[..., :2] * scale, theirs[..., 2:4] * scale
        radius = true_half.mean(axis=-1)
        return cls(
            distance=np.linalg.norm(centre - true_centre, axis=-1),
            radius=radius,
            size_error=np.abs(half.mean(axis=-1) - radius) / radius,
            overlap=_overlap(centre, half, true_centre, true_half),
        )


def is_found(
    answers: NDArray[Any], truths: NDArray[Any], present_from: float, radii: float = 1.0
) -> Bools:
    """Return whether each name of each image is answered right, `(images, names)`.

    What is there must be said to be there, within `radii` true radii of its true centre. What is
    not there must be said to be absent.
    """
    differences, there = Differences.of(answers, truths), by_name(truths)[..., PRESENCE]
    said = by_name(answers)[..., PRESENCE] >= present_from
    near = differences.distance <= radii * differences.radius  # False where NaN
    return np.where(there == 1, said & near, (there == 0) & ~said)


def _overlap(centre: Floats, half: Floats, other_centre: Floats, other_half: Floats) -> Floats:
    """Return the intersection over union of boxes, given centres and half sizes `(…, 2)`."""
    nearest = np.minimum(centre + half, other_centre + other_half)
    sides = nearest - np.maximum(centre - half, other_centre - other_half)
    shared = np.clip(sides, 0, None).prod(axis=-1)
    both = 4 * (half.prod(axis=-1) + other_half.prod(axis=-1))
    return shared / (both - shared)
