"""The area under the ROC curve and its interval, by DeLong et al. 1988 and Newcombe 2006."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila.evaluation import Estimate
from pupila.intervals import BY_PATIENT, Z, members_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


def auc(
    scores: Floats, truth: Integers, column: int, clusters: ArrayLike | None = None
) -> Estimate | None:
    """Return the area under the ROC curve, or None if a class has no image.

    `scores` are probabilities `(images, classes)`; `truth` is the index of each image's true class,
    `(images,)`. With two classes, the area is that of the class in `column` against the other. With
    more, it is the unweighted mean of the areas of each class against the rest.

    The interval spans Newcombe's and DeLong's intervals, because each of the two has a weakness.
    Newcombe's interval keeps a width at areas of 0 and 1, but its variance (Hanley and McNeil) is
    too small if a few images are answered completely wrong. DeLong's interval, on the logit scale,
    is right even then, but has no width at areas of 0 and 1. Newcombe's interval is computed from
    the sizes of the smallest class and of the rest, because a mean of several areas varies no more
    than the area that varies most.

    With `clusters` (see `pupila.intervals`), DeLong's variance is replaced by that of Obuchowski
    1997, and Newcombe's interval counts one image per cluster and class.
    """
    sizes = np.bincount(truth, minlength=scores.shape[1])
    if not sizes.all():
        return None
    columns = [column] if len(sizes) == 2 else range(len(sizes))
    area = mean_auc(scores, truth, columns)
    variance = covariance_of(image_effects(scores, truth, columns)[None], truth, clusters)
    ends = [auc_interval(area, *_smallest(truth, clusters))]
    if 0 < area < 1:
        ends.append(_on_logit_scale(area, math.sqrt(variance[0, 0])))
    return Estimate(
        value=area,
        low=min(low for low, _ in ends),
        high=max(high for _, high in ends),
        method=_AUC_METHOD + (f", {BY_PATIENT} (Obuchowski 1997)" if clusters is not None else ""),
    )


_AUC_METHOD = "the wider of Newcombe 2006, method 5, and DeLong 1988 on the logit scale"


def _smallest(truth: Integers, clusters: ArrayLike | None) -> tuple[int, int]:
    """Return the sizes of the smallest class and of the rest, counted in clusters if given."""
    label = int(np.bincount(truth).argmin())
    of_class = truth == label
    if clusters is None:
        return int(of_class.sum()), int((~of_class).sum())
    members = members_of(clusters)
    return len(set(members[of_class].tolist())), len(set(members[~of_class].tolist()))


def _on_logit_scale(area: float, deviation: float) -> tuple[float, float]:
    """Return the interval `area` ± z deviations on the logit scale, which stays inside 0..1."""
    middle, half = math.log(area / (1 - area)), Z * deviation / (area * (1 - area))
    low, high = (math.exp(-max(-700.0, min(700.0, end))) for end in (middle - half, middle + half))
    return 1 / (1 + low), 1 / (1 + high)


def auc_interval(area: float, positives: int, negatives: int) -> tuple[float, float]:
    """Return the 95 % interval of an area under the ROC curve by Newcombe's method 5.

    `positives` and `negatives` are numbers of images. Newcombe 2006, Statistics in Medicine 25:559:
    the limits are the θ that solve
    `(area - θ)² = z² θ(1-θ) (1 + N(1-θ)/(2-θ) + Nθ/(1+θ)) / mn` with `N = (m+n)/2 - 1`.
    The right side has the variance of Hanley and McNeil 1982, at the limit instead of the estimate.
    So the interval keeps a width at areas of 0 and 1, and never leaves 0..1.
    """
    extra = (positives + negatives) / 2 - 1

    def inside(theta: float) -> bool:
        spread = 1 + extra * (1 - theta) / (2 - theta) + extra * theta / (1 + theta)
        variance = theta * (1 - theta) * spread / (positives * negatives)
        return (area - theta) ** 2 <= Z**2 * variance

    def limit(outer: float) -> float:
        inner = area
        while abs(outer - inner) > 1e-12:
            middle = (inner + outer) / 2
            inner, outer = (middle, outer) if inside(middle) else (inner, middle)
        return inner

    return limit(0.0), limit(1.0)


def mean_auc(scores: Floats, truth: Integers, columns: Sequence[int]) -> float:
    """Return the mean area under the ROC curves of the classes in `columns`, each against the rest.

    `scores` are `(images, classes)`; `truth` has indices of the columns, `(images,)`.
    """
    return float(
        np.mean([placements(scores[:, c], truth == c)[truth == c].mean() for c in columns])
    )


def image_effects(scores: Floats, truth: Integers, columns: Sequence[int]) -> Floats:
    """Return each image's contribution to the mean area, up to a constant per class, `(images,)`.

    The arguments are those of `mean_auc`.
    """
    total = np.zeros(len(truth))
    for column in columns:
        is_positive = truth == column
        sizes = np.where(is_positive, is_positive.sum(), (~is_positive).sum())
        total += placements(scores[:, column], is_positive) / sizes
    return total / len(columns)


def covariance_of(effects: Floats, truth: Integers, clusters: ArrayLike | None = None) -> Floats:
    """Return the covariance `(areas, areas)` of several mean areas on the same images.

    `effects` are the images' contributions `(areas, images)`, each row from `image_effects`.
    Without `clusters`, the covariance is that of DeLong: the sum of the covariances within each
    class. With `clusters` (see `pupila.intervals`), the covariance is that of Obuchowski 1997
    (Biometrics 53:567), which sums contributions by cluster. The covariance is 0 if each class has
    only one image, or if there is only one cluster.
    """
    centred = effects.copy()
    for label in np.unique(truth):
        of_class = truth == label
        centred[:, of_class] -= effects[:, of_class].mean(axis=1, keepdims=True)
        if clusters is None and of_class.sum() > 1:
            centred[:, of_class] *= np.sqrt(of_class.sum() / (of_class.sum() - 1))
    if clusters is None:
        return centred @ centred.T
    members = members_of(clusters)
    number = int(members.max()) + 1
    sums = np.stack([np.bincount(members, weights=row, minlength=number) for row in centred])
    return sums @ sums.T * (number / max(number - 1, 1))


def placements(scores: Floats, is_positive: Bools) -> Floats:
    """Return, for each image, the fraction of the other class that it is ranked correctly against.

    Arguments and result are `(images,)`. Ties count half. Placements are computed from midranks as
    in Sun and Xu 2014 (IEEE Signal Processing Letters 21:1389): the rank of an image among all
    images minus its rank among the images of its own class.
    """
    among_all, among_own = midranks(scores), np.empty(len(scores))
    for own in (is_positive, ~is_positive):
        among_own[own] = midranks(scores[own])
    below = among_all - among_own
    others = np.where(is_positive, (~is_positive).sum(), is_positive.sum())
    return np.where(is_positive, below, others - below) / others


def midranks(values: Floats) -> Floats:
    """Return the rank of each value, from 1 for the lowest; ties get the mean of their ranks."""
    _, positions, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[positions]
