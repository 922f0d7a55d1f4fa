"""Compares two models by the mean of their errors, such as distances from the true position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.intervals import BY_PATIENT
from pupila.noninferiority.clustered import mean_test, shared_clusters
from pupila.noninferiority.comparison import Comparison
from pupila.noninferiority.tilting import TiltingTest, compare_by_tilting

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_METHOD = "paired mean, bootstrap tilting (DiCiccio and Romano 1990)"


def compare_errors(
    new: ArrayLike,
    reference: ArrayLike,
    limits: ArrayLike,
    margin: float,
    clusters: ArrayLike | None = None,
) -> Comparison:
    """Compare two models by their mean errors on the same images. Smaller errors are better.

    `new` and `reference` are the errors, and `limits` the largest error that counts for each image,
    `(images,)` each. `margin` is the largest accepted increase of the mean, in the unit of the
    errors. `clusters` is described in `pupila.intervals`.

    In the result, a positive difference is a loss. The null hypothesis is that the true difference
    is the margin or more. If `inferior`, the whole interval lies above the margin.

    The test is that of `pupila.noninferiority.tilting` on the paired differences, summed by cluster
    (Obuchowski 1998, Statistics in Medicine 17:1495). It allows for images, not seen yet, whose
    error grows by the mean limit. Without limits, no test of a mean keeps its level: with errors of
    1 % and a rare one of 30 %, the few images that decide are most often not in the sample. The
    median and the trimmed mean keep it, but do not see a loss on a part of the images
    (`docs/gate.md`).

    Raises:
        PupilaError: the arrays do not fit each other, there are no images, an error is outside of
            0 and its limit, or the margin allows any error.
    """
    errors = PairedErrors.of(new, reference, limits, clusters)
    if not 0 < margin < errors.usual:
        raise PupilaError(
            f"A margin of {margin:g} allows no comparison: errors count up to {errors.usual:.3g} "
            f"here, in the mean, so give a margin between 0 and that."
        )
    scale = errors.scale
    gain = compare_by_tilting(
        (-errors.new / scale, -errors.reference / scale),
        margin / scale,
        len(errors.gains),
        errors.tilting,
        _METHOD + ("" if clusters is None else f", {BY_PATIENT}"),
    )
    return Comparison(
        new=errors.new,
        reference=errors.reference,
        difference=Estimate(
            value=errors.new - errors.reference,
            low=-gain.difference.high * scale,
            high=-gain.difference.low * scale,
            method=gain.difference.method,
        ),
        p_value=gain.p_value,
        inferior=gain.inferior,
        needs_images=gain.needs_images,
    )


@dataclass(frozen=True, eq=False)
class PairedErrors:
    """Errors of two models on the same images, as gains between -1 and 1."""

    new: float
    """Mean error of the new model."""
    reference: float
    usual: float
    """Mean of the limits: by how much the error of an image not seen yet may grow."""
    scale: float
    """What a gain of 1 is in the unit of the errors: the largest limit."""
    gains: Floats
    """The reference's error minus the new model's, divided by `scale`, `(images,)`."""
    members: Integers
    """Index of each image's cluster, from 0, `(images,)`."""

    @classmethod
    def of(
        cls,
        new: ArrayLike,
        reference: ArrayLike,
        limits: ArrayLike,
        clusters: ArrayLike | None = None,
    ) -> PairedErrors:
        """Pair the errors of two models; the arguments are those of `compare_errors`.

        Raises:
            PupilaError: the arrays do not fit each other, there are no images, or an error is
                outside of 0 and its limit.
        """
        ours, theirs, largest = (
            np.asarray(given, np.float64) for given in (new, reference, limits)
        )
        _check_errors(ours, theirs, largest)
        members, scale = shared_clusters(clusters), float(largest.max())
        return cls(
            new=float(ours.mean()),
            reference=float(theirs.mean()),
            usual=float(largest.mean()),
            scale=scale,
            gains=(theirs - ours) / scale,
            members=np.arange(len(ours), dtype=np.int64) if members is None else members,
        )

    def tilting(self, null: float, *, above: bool = False) -> tuple[TiltingTest, float]:
        """Return a test of the hypothesis that the true mean gain is `null` or less.

        With `above`, the hypothesis is that it is `null` or more. The second value returned is the
        distance from `null` to the observed gain, an argument of the test's methods.
        """
        sign = -1 if above else 1
        lowest = -self.usual / self.scale
        return mean_test(sign * self.gains, self.members, sign * null, minimum=lowest)

    def p_value(self, margin: float) -> float:
        """Return the p-value of the hypothesis that the mean error grows by `margin` or more."""
        test, distance = self.tilting(-margin / self.scale)
        return test.p_value(distance)


def _check_errors(new: Floats, reference: Floats, limits: Floats) -> None:
    """Make sure that errors belong to the same images and lie between 0 and their limits."""
    if new.ndim != 1 or not new.shape == reference.shape == limits.shape or not len(new):
        raise PupilaError(
            f"Errors of shapes {new.shape!r} and {reference.shape!r} with limits {limits.shape!r} "
            f"cannot be compared: expected one for each of the same images, and at least one."
        )
    for errors in (new, reference):
        outside = ~((errors >= 0) & (errors <= limits) & (limits > 0) & np.isfinite(limits))
        if outside.any():
            row = int(outside.argmax())
            raise PupilaError(
                f"The error of image {row} is {errors[row]:g}, and its limit {limits[row]:g}: "
                f"expected errors from 0 to a limit above 0. Leave out images without an error."
            )
