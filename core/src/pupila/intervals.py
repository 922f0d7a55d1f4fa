"""95 % intervals of proportions, and of means by bootstrap.

Images of one patient are alike, so they carry less information than as many images of different
patients. If `clusters` is given, intervals account for the likeness. `clusters` has one value for
each image, `(images,)`, and images of one patient have the same value. Without `clusters`, every
image counts as an image of a different patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila.evaluation import Estimate

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]

Z = NormalDist().inv_cdf(0.975)
"""97.5 % point of the standard normal distribution."""

DRAWS = 2000
"""Bootstrap resamples: with so many, the ends of a 95 % interval vary by about 2 % of its width."""

BY_PATIENT = "by patient"
"""Text in an interval's `method` if patients were known."""

_BLOCK_COUNTS = 1 << 22
"""Entries in a block of resamples, which takes 32 MiB for any number of images."""


def proportion(hits: int, total: int) -> Estimate:
    """Return `hits / total` with the score interval of Wilson 1927 (JASA 22:209)."""
    fraction = hits / total
    low, high = wilson(fraction, total)
    return Estimate(value=fraction, low=low, high=high, method="Wilson 1927")


def wilson(fraction: float, total: float) -> tuple[float, float]:
    """Return both ends of Wilson's interval for the fraction `fraction` of `total` images.

    `centre ± z/(1 + z²/n) · sqrt(p(1-p)/n + z²/4n²)`, `centre = (p + z²/2n)/(1 + z²/n)`.
    """
    squared = Z**2 / total
    centre = (fraction + squared / 2) / (1 + squared)
    half = Z / (1 + squared) * sqrt(fraction * (1 - fraction) / total + squared / (4 * total))
    return (0.0 if fraction == 0 else centre - half), (1.0 if fraction == 1 else centre + half)


def share(hits: Bools, clusters: ArrayLike | None = None) -> Estimate:
    """Return the fraction of `hits` `(images,)` that are true, with Wilson's interval.

    With `clusters`, the interval is computed for the effective number of independent images. The
    effective number is the number of images divided by the design effect, which is the variance
    between clusters divided by the variance of independent images. The effective number is reduced
    further if there are few clusters (Korn and Graubard 1998, Survey Methodology 24:193). If all
    images are hits, or none, the design effect is unknown, and the effective number is the number
    of clusters.
    """
    total, number = len(hits), int(hits.sum())
    if clusters is None:
        return proportion(number, total)
    fraction = number / total
    low, high = wilson(fraction, _effective_images(hits, fraction, members_of(clusters)))
    method = f"Wilson 1927, {BY_PATIENT} (Korn and Graubard 1998)"
    return Estimate(value=fraction, low=low, high=high, method=method)


def members_of(clusters: ArrayLike) -> Integers:
    """Return the index of each image's cluster, from 0, `(images,)`.

    An image whose cluster has an empty name is a cluster of its own.
    """
    names = np.asarray(clusters)
    members = np.unique(names, return_inverse=True)[1].astype(np.int64)
    if names.dtype.kind not in "UO":
        return members
    unnamed = names == ""
    members[unnamed] = members.size + np.arange(int(unnamed.sum()))
    return np.unique(members, return_inverse=True)[1].astype(np.int64)


def _effective_images(hits: Bools, fraction: float, members: Integers) -> float:
    """Return the effective number of independent images, at most the number of images."""
    total, clusters = len(members), int(members.max()) + 1
    if fraction in (0, 1) or clusters == 1:
        return clusters
    sums = np.bincount(members, weights=hits - fraction)
    variance = float(sums @ sums) * clusters / (clusters - 1) / total**2
    ratio = max(1.0, variance * total / (fraction * (1 - fraction)))
    reduction = _student_point(total - 1) / _student_point(clusters - 1)
    return total / ratio * reduction**2


def _student_point(degrees: int) -> float:
    """Return the 97.5 % point of Student's t (Cornish and Fisher 1960, Technometrics 2:209)."""
    z, d = Z, degrees
    if d < 3:
        return (12.706, 4.303)[d - 1]
    return (
        z
        + (z**3 + z) / (4 * d)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * d**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * d**3)
    )


def resamples(images: int, seed: int, clusters: ArrayLike | None = None) -> Iterator[Floats]:
    """Yield bootstrap resamples, in blocks of counts `(draws, images)`.

    A row of counts is one resample: it says how often each image is drawn. The blocks have `DRAWS`
    rows in total. Images or, with `clusters`, whole clusters are drawn with replacement.
    """
    random = np.random.default_rng(seed)
    members = np.arange(images) if clusters is None else members_of(clusters)
    number = int(members.max()) + 1
    block = max(1, _BLOCK_COUNTS // images)
    for start in range(0, DRAWS, block):
        rows = min(block, DRAWS - start)
        flat = random.integers(0, number, (rows, number)) + np.arange(rows)[:, None] * number
        counts = np.bincount(flat.ravel(), minlength=rows * number).reshape(rows, number)
        yield counts[:, members].astype(np.float64)


def resampling_interval(
    value: float, draws: Floats, most: float, independent: int, method: str
) -> Estimate:
    """Return a mean `value` in 0..`most` with the percentile interval of its bootstrap draws.

    `draws` are the means of the resamples, `(draws,)`. The interval is widened where needed, so
    that it includes `value` even if the draws are biased. The interval also allows for a kind of
    image that the sample lacks. The fraction of such images may be as large as the upper end of
    Wilson's interval for 0 of `independent` images, and the model may answer all of them wrong, or
    all of them right. So the two ends of the interval differ even if all draws are equal.
    """
    low, high = (float(limit) for limit in np.quantile(draws, [0.025, 0.975]))
    unseen = wilson(0, independent)[1]
    return Estimate(
        value=value,
        low=max(0.0, min(low, value - value * unseen)),
        high=min(most, max(high, value + (most - value) * unseen)),
        method=method,
    )
