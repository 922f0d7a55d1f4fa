"""Areas under the ROC curve of two classifiers, paired."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.noninferiority.comparison import (
    LEVEL,
    Comparison,
    check_margin,
    images_to_tell,
    last_rejected,
)
from pupila.roc import covariance_of, image_effects, mean_area

_LEAST_VARIANCE = 1e-12
"""Of two areas that are 1 and are held to be so: no difference is then more likely than this."""


def compare_areas(
    new: ArrayLike,
    reference: ArrayLike,
    labels: ArrayLike,
    columns: Sequence[int],
    margin: float,
) -> Comparison:
    """Compare the mean areas under the ROC curves of some classes, each against the rest.

    Both are probabilities `(images, classes)`; `columns` are the classes whose areas count: one
    where there are two, all where there are more. Paired as by DeLong et al. 1988: each image has a
    placement, the part of the other class that it is on the right side of.

    DeLong's variance is 0 where both separate the classes, or order the images alike, and too small
    near that: in simulations up to one run in five passed falsely. So the variance is never taken
    below what it would be at the margin, as Tango does for proportions. It is the larger of two:
    that of Hanley and McNeil 1982 as in Newcombe 2006, method 5, of two areas `margin` apart, with
    DeLong's correlation (0 where there is none); and `margin (1 - margin) / n`, if the loss comes
    from a few of the n images of the smaller class that are answered wholly wrong: no loss of that
    size varies more, and there may be none of them among the images at hand. Student's t stands
    for the normal. Then no simulation found more than `LEVEL`, but for chance (`docs/gate.md`).

    Raises:
        PupilaError: the arrays do not fit, a class has no image, or the margin cannot be.
    """
    check_margin(margin)
    areas = PairedAreas.of(new, reference, labels, columns)

    def below(null: float) -> bool:
        return areas.p_value(null) <= LEVEL

    def above(null: float) -> bool:
        return areas.p_value(null, above=True) <= LEVEL

    value, images = areas.value, areas.images
    deviation = math.sqrt(areas.variance(-margin) * images)
    return Comparison(
        new=areas.new,
        reference=areas.reference,
        difference=Estimate(
            value=value,
            low=last_rejected(below, -1.0, value),
            high=last_rejected(above, 1.0, value),
            method="paired DeLong 1988, its variance not below that at the limit (Newcombe 2006)",
        ),
        p_value=areas.p_value(-margin),
        worse=value < -margin and above(-margin),
        needs_images=images_to_tell(deviation, deviation, min(0.0, value) + margin, images),
    )


@dataclass(frozen=True)
class PairedAreas:
    """Two mean areas of the same images, with what is known of their variance."""

    new: float
    reference: float
    images: int
    positives: int
    """Images of the smallest class that counts: the variance at a margin is that of its area."""
    variances: tuple[float, float, float]
    """DeLong's: of the new one, of the reference, and their covariance."""

    @classmethod
    def of(
        cls, ours: ArrayLike, theirs: ArrayLike, labels: ArrayLike, columns: Sequence[int]
    ) -> PairedAreas:
        """Measure both; the arguments are those of `compare_areas`.

        Raises:
            PupilaError: the arrays do not fit, or a class has no image.
        """
        new, reference = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        truth = np.asarray(labels, np.int64)
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
        both = [image_effects(each, truth, columns) for each in (new, reference)]
        areas = [mean_area(each, truth, columns) for each in (new, reference)]
        covariance = covariance_of(np.stack(both), truth)
        (first, shared), (_, second) = covariance.tolist()
        smallest = int(sizes[list(columns)].min())
        return cls(areas[0], areas[1], len(truth), smallest, (first, second, shared))

    @property
    def value(self) -> float:
        return self.new - self.reference

    def p_value(self, null: float, *, above: bool = False) -> float:
        """Return that of a true difference of `null` or less; `above`: of `null` or more."""
        distance = (null - self.value) if above else (self.value - null)
        return _student_tail(distance / math.sqrt(self.variance(null)), self._smaller - 1)

    def variance(self, null: float) -> float:
        """Return the variance of the difference if it is truly `null`."""
        first, second, shared = self.variances
        product = first * second
        correlation = shared / math.sqrt(product) if product > 0 else 0.0
        middle = (self.new + self.reference) / 2
        upper = min(max(middle + abs(null) / 2, 0.5), 1.0)
        lower = max(upper - abs(null), 0.0)
        one, other = self._hanley_mcneil(lower), self._hanley_mcneil(upper)
        at_null = one + other - 2 * correlation * math.sqrt(one * other)
        of_few = abs(null) * (1 - abs(null)) / self._smaller
        return max(first + second - 2 * shared, at_null, of_few, _LEAST_VARIANCE)

    @property
    def _smaller(self) -> int:
        return max(2, min(self.positives, self.images - self.positives))

    def _hanley_mcneil(self, area: float) -> float:
        """Return the variance of one area, as `pupila.metrics.auc_interval` has it."""
        positives, negatives = self.positives, self.images - self.positives
        extra = self.images / 2 - 1
        spread = 1 + extra * (1 - area) / (2 - area) + extra * area / (1 + area)
        return area * (1 - area) * spread / (positives * negatives)


def _student_tail(value: float, degrees: int) -> float:
    """Return the probability of more, to three digits (Wallace 1959, Ann. Math. Stat. 30:1121)."""
    squeezed = math.sqrt(degrees * math.log1p(value * value / degrees))
    return NormalDist().cdf(-math.copysign(squeezed, value) * (8 * degrees + 1) / (8 * degrees + 3))
