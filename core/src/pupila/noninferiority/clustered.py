"""Compares and tests proportions on data with several images of one patient."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila.intervals import BY_PATIENT, members_of
from pupila.noninferiority.comparison import Comparison
from pupila.noninferiority.tilting import TiltingTest, compare_by_tilting

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

METHOD = f"bootstrap tilting (DiCiccio and Romano 1990), {BY_PATIENT}"


def compare_clustered(
    new: NDArray[np.bool_], reference: NDArray[np.bool_], members: Integers, margin: float
) -> Comparison:
    """Compare two sets of answers `(images,)`, true where correct; `members` are clusters from 0.

    Paired differences are summed by cluster (Obuchowski 1998, Statistics in Medicine 17:1495) and
    tested by `pupila.noninferiority.tilting`. Its distribution assumes a difference at the margin,
    as the variance of Yang, Sun and Hardin 2010 (Stat Med 29:2435) does.
    """
    differences = new.astype(np.float64) - reference

    def test_of(null: float, *, above: bool = False) -> tuple[TiltingTest, float]:
        sign = -1 if above else 1
        return mean_test(sign * differences, members, sign * null, minimum=-1)

    figures = float(new.mean()), float(reference.mean())
    return compare_by_tilting(figures, margin, len(new), test_of, METHOD)


def shared_clusters(clusters: ArrayLike | None) -> Integers | None:
    """Return the cluster of each image, from 0; None if each image is its own cluster."""
    members = None if clusters is None else members_of(clusters)
    return None if members is None or members.max() + 1 == len(members) else members


def mean_test(
    values: Floats, members: Integers, null: float, minimum: float
) -> tuple[TiltingTest, float]:
    """Return a test of the null hypothesis that the true mean is `null` or less.

    Also return the distance from `null` to the observed mean. No value in `values`, `(images,)`,
    can be below `minimum`. The worst possible cluster has the minimum in all its images, and is as
    large as the cluster of an average image.
    """
    images, sizes = len(values), np.bincount(members)
    added = (np.bincount(members, values) - null * sizes) / images
    usual = float(sizes @ sizes) / images
    mean = float(added.mean())
    worst = usual * (minimum - null) / images - mean
    distance = float(values.mean()) - null
    return TiltingTest(added - mean, worst, max(1, len(sizes) - 1)), distance
