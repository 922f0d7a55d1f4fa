"""The area under the ROC curve, as the mean of what each image adds to it (DeLong et al. 1988)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


def mean_area(scores: Floats, truth: Integers, columns: Sequence[int]) -> float:
    """Return the mean area under the ROC curves of some classes, each against the rest.

    `scores` are `(images, classes)`, `truth` `(images,)` indices into the columns.
    """
    return float(
        np.mean([placements(scores[:, c], truth == c)[truth == c].mean() for c in columns])
    )


def image_effects(scores: Floats, truth: Integers, columns: Sequence[int]) -> Floats:
    """Return what each image adds to the mean area, but for a constant of its class."""
    total = np.zeros(len(truth))
    for column in columns:
        is_positive = truth == column
        sizes = np.where(is_positive, is_positive.sum(), (~is_positive).sum())
        total += placements(scores[:, column], is_positive) / sizes
    return total / len(columns)


def covariance_of(effects: Floats, truth: Integers, clusters: ArrayLike | None = None) -> Floats:
    """Return the covariance `(areas, areas)` of mean areas by what each image adds to them.

    `effects` are `(areas, images)`, each row from `image_effects`. Where all images are
    independent, DeLong's: the variances within each class, added. `clusters` has a value for each
    image, the same for those of one patient: then Obuchowski 1997 (Biometrics 53:567), what a whole
    cluster adds varies, whatever the classes of its images. Zeros where nothing can be said: one
    image of each class, or one cluster.
    """
    centred = effects.copy()
    for label in np.unique(truth):
        of_class = truth == label
        centred[:, of_class] -= effects[:, of_class].mean(axis=1, keepdims=True)
        if clusters is None and of_class.sum() > 1:
            centred[:, of_class] *= np.sqrt(of_class.sum() / (of_class.sum() - 1))
    if clusters is None:
        return centred @ centred.T
    _, members = np.unique(np.asarray(clusters), return_inverse=True)
    number = int(members.max()) + 1
    sums = np.stack([np.bincount(members, weights=row, minlength=number) for row in centred])
    return sums @ sums.T * (number / max(number - 1, 1))


def placements(scores: Floats, is_positive: Bools) -> Floats:
    """Return the part of the other class that each image is on the right side of, ties half.

    From midranks, as Sun and Xu 2014 (IEEE Signal Processing Letters 21:1389): among all images
    less among those of its own class.
    """
    among_all, among_own = midranks(scores), np.empty(len(scores))
    for own in (is_positive, ~is_positive):
        among_own[own] = midranks(scores[own])
    below = among_all - among_own
    others = np.where(is_positive, (~is_positive).sum(), is_positive.sum())
    return np.where(is_positive, below, others - below) / others


def midranks(values: Floats) -> Floats:
    """Return the rank of each value, from 1 for the lowest; ties have the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]
