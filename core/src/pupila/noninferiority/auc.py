"""Compares the areas under the ROC curve of two classifiers on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila.errors import PupilaError
from pupila.intervals import BY_PATIENT, members_of
from pupila.noninferiority.comparison import Comparison, check_margin
from pupila.noninferiority.tilting import TiltingTest, compare_by_tilting
from pupila.roc import image_effects, mean_auc

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_METHOD = "paired areas (DeLong 1988), bootstrap tilting (DiCiccio and Romano 1990)"


def compare_auc(
    new: ArrayLike,
    reference: ArrayLike,
    labels: ArrayLike,
    columns: Sequence[int],
    margin: float,
    clusters: ArrayLike | None = None,
) -> Comparison:
    """Compare two classifiers by the area under the ROC curve, on the same images.

    `new` and `reference` are probabilities `(images, classes)`; `labels` are indices of the
    columns, `(images,)`. `columns` are the classes whose areas, each against the rest, are
    averaged: one class if there are two, all if there are more. `clusters` is described in
    `pupila.intervals`.

    The areas are paired as in DeLong et al. 1988: each image contributes its placement, which is
    the fraction of the other class's images that it is ranked correctly against. Placements of one
    cluster are summed (Obuchowski 1997, Biometrics 53:567).

    The test is that of `pupila.noninferiority.tilting`, because a normal approximation with
    DeLong's variance fails in two cases. The variance is 0 if both classifiers separate the classes
    or order the images alike. And if a few images are answered completely wrong, the distribution
    of the difference is skewed. With the normal approximation, even with a minimum variance, up to
    20 % of simulated runs passed falsely. The tilting test allows for images answered completely
    wrong even if the data has none. In simulations, its rate of false passes was `LEVEL`, within
    chance (`docs/gate.md`).

    Raises:
        PupilaError: the shapes differ, a class has no image, or the margin is outside 0..1.
    """
    check_margin(margin)
    areas = PairedAuc.of(new, reference, labels, columns, clusters)
    return compare_by_tilting(
        (areas.new, areas.reference),
        margin,
        areas.images,
        areas.tilting,
        method=_METHOD + (f", {BY_PATIENT} (Obuchowski 1997)" if clusters is not None else ""),
    )


@dataclass(frozen=True, eq=False)
class PairedAuc:
    """Mean areas of two classifiers on the same images, and each unit's share of the difference.

    A unit is an image or, if clusters are given, a cluster of images.
    """

    new: float
    reference: float
    images: int
    values: Floats
    """What each unit adds to the difference of the areas, centred to a sum of zero, `(units,)`."""
    worst: tuple[float, float]
    """The most by which one unit can lower the difference, and the most it can raise it."""
    degrees: int
    """Degrees of freedom: the number of units of the smallest class, minus one."""

    @classmethod
    def of(
        cls,
        ours: ArrayLike,
        theirs: ArrayLike,
        labels: ArrayLike,
        columns: Sequence[int],
        clusters: ArrayLike | None = None,
    ) -> PairedAuc:
        """Measure the areas of two classifiers; the arguments are those of `compare_auc`.

        Raises:
            PupilaError: the shapes differ, or a class has no image.
        """
        new, reference = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        truth = np.asarray(labels, np.int64)
        sizes = _class_sizes(new, reference, truth)
        members = (
            np.arange(len(truth), dtype=np.int64) if clusters is None else members_of(clusters)
        )
        effects = image_effects(new, truth, columns) - image_effects(reference, truth, columns)
        means = np.bincount(truth, effects) / sizes
        units = np.array([len(np.unique(members[truth == label])) for label in range(len(sizes))])
        largest, alike = _largest_effects(sizes, columns), sizes / units
        return cls(
            mean_auc(new, truth, columns),
            mean_auc(reference, truth, columns),
            len(truth),
            np.asarray(np.bincount(members, effects - means[truth]), np.float64),
            (
                float(((largest + means) * alike).max()),
                float(((largest - means) * alike).max()),
            ),
            max(1, int(units.min()) - 1),
        )

    def tilting(self, null: float, *, above: bool) -> tuple[TiltingTest, float]:
        """Return a test of the hypothesis that the true difference is `null` or less.

        With `above`, the hypothesis is that the difference is `null` or more. The second value
        returned is the distance from `null` to the observed difference, an argument of the test's
        methods.
        """
        sign = -1 if above else 1
        distance = sign * (self.new - self.reference - null)
        return TiltingTest(sign * self.values, -self.worst[above], self.degrees), distance

    def p_value(self, null: float, *, above: bool = False) -> float:
        """Return the p-value of the hypothesis that the true difference is `null` or less.

        With `above`, the hypothesis is that the difference is `null` or more.
        """
        test, distance = self.tilting(null, above=above)
        return test.p_value(distance)


def _class_sizes(new: Floats, reference: Floats, truth: Integers) -> Integers:
    """Return the number of images of each class, `(classes,)`, after checking that none is zero."""
    if new.shape != reference.shape or new.ndim != 2 or truth.shape != new.shape[:1]:
        raise PupilaError(
            f"Probabilities of shapes {new.shape!r} and {reference.shape!r} with labels "
            f"{truth.shape!r} cannot be compared: expected (images, classes) twice, and "
            f"(images,)."
        )
    sizes = np.bincount(truth, minlength=new.shape[1])
    if not sizes.all():
        raise PupilaError(
            f"An area under the ROC curve needs images of every class, and the classes have "
            f"{sizes.tolist()!r}: leave `auc` out, or test on more images."
        )
    return sizes


def _largest_effects(sizes: Integers, columns: Sequence[int]) -> Floats:
    """Return the most that one image of each class can move the mean area, `(classes,)`."""
    largest = np.zeros(len(sizes))
    for column in columns:
        is_positive = np.arange(len(sizes)) == column
        largest += 1 / np.where(is_positive, sizes[column], sizes.sum() - sizes[column])
    return largest / len(columns)
