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
    """Compare the fractions of correct answers of two classifiers on clustered images.

    `new` and `reference` are true where the classifier is correct, `(images,)`. `members` is the
    index of each image's cluster, from 0, `(images,)`.

    Paired differences are summed by cluster (Obuchowski 1998, Statistics in Medicine 17:1495) and
    tested by `pupila.noninferiority.tilting`. The test assumes a true difference at the margin, as
    Yang, Sun and Hardin 2010 (Stat Med 29:2435) do for their variance.
    """
    differences = new.astype(np.float64) - reference

    def test_of(null: float, *, above: bool = False) -> tuple[TiltingTest, float]:
        sign = -1 if above else 1
        return mean_test(sign * differences, members, sign * null, minimum=-1)

    figures = float(new.mean()), float(reference.mean())
    return compare_by_tilting(figures, margin, len(new), test_of, METHOD)


def shared_clusters(clusters: ArrayLike | None) -> Integers | None:
    """Return the index of each image's cluster, from 0, or None if no two images share a cluster.

    `clusters` is described in `pupila.intervals`.
    """
    members = None if clusters is None else members_of(clusters)
    return None if members is None or members.max() + 1 == len(members) else members


def mean_test(
    values: Floats, members: Integers, null: float, minimum: float
) -> tuple[TiltingTest, float]:
    """Return a test of the hypothesis that the true mean of `values` is `null` or less.

    `values` and the clusters `members` are `(images,)`. `minimum` is the lowest possible value. The
    worst possible cluster has as many images as the cluster of an average image, all of them with
    the value `minimum`. The second value returned is the distance from `null` to the observed mean,
    an argument of the test's methods.
    """
    images, sizes = len(values), np.bincount(members)
    added = (np.bincount(members, values) - null * sizes) / images
    usual = float(sizes @ sizes) / images
    mean = float(added.mean())
    worst = usual * (minimum - null) / images - mean
    distance = float(values.mean()) - null
    return TiltingTest(added - mean, worst, max(1, len(sizes) - 1)), distance
