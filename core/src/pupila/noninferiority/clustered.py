"""Proportions of images of which several are of one patient, compared and held against a limit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila.intervals import BY_PATIENT, members_of
from pupila.noninferiority.comparison import Comparison
from pupila.noninferiority.tilting import Tilting, compared

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

METHOD = f"bootstrap tilting (DiCiccio and Romano 1990), {BY_PATIENT}"


def compare_clustered(
    new: NDArray[np.bool_], reference: NDArray[np.bool_], members: Integers, margin: float
) -> Comparison:
    """Compare what is right in two sets of answers `(images,)`; `members` are clusters from 0.

    Paired differences of images, added up by cluster (Obuchowski 1998, Statistics in Medicine
    17:1495), their distribution taken at the margin (as Yang, Sun and Hardin 2010, Stat Med 29:2435
    take their variance): that of `pupila.noninferiority.tilting`.
    """
    differences = new.astype(np.float64) - reference

    def test_of(null: float, *, above: bool = False) -> tuple[Tilting, float]:
        sign = -1 if above else 1
        return mean_test(sign * differences, members, sign * null, least=-1)

    figures = float(new.mean()), float(reference.mean())
    return compared(figures, margin, len(new), test_of, METHOD)


def shared_clusters(clusters: ArrayLike | None) -> Integers | None:
    """Return the cluster of each image, from 0; None where each image is one of its own."""
    members = None if clusters is None else members_of(clusters)
    return None if members is None or members.max() + 1 == len(members) else members


def mean_test(
    values: Floats, members: Integers, null: float, least: float
) -> tuple[Tilting, float]:
    """Return the test of a mean of `null` or less, and how far that is below the observed one.

    `values` `(images,)` are `least` or more each. A cluster of which all images have that has as
    many as the cluster of an average image.
    """
    images, sizes = len(values), np.bincount(members)
    added = (np.bincount(members, values) - null * sizes) / images
    usual = float(sizes @ sizes) / images
    mean = float(added.mean())
    worst = usual * (least - null) / images - mean
    distance = float(values.mean()) - null
    return Tilting(added - mean, worst, max(1, len(sizes) - 1)), distance
