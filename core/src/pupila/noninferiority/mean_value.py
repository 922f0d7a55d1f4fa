"""Compares two models by the mean of a bounded value of each image, such as a log loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pupila.evaluation import Estimate
from pupila.noninferiority.comparison import Comparison
from pupila.noninferiority.mean_error import compare_errors


def compare_means(
    new: ArrayLike,
    reference: ArrayLike,
    bounds: tuple[float, float],
    margin: float,
    clusters: ArrayLike | None = None,
    *,
    lower_is_better: bool = False,
) -> Comparison:
    """Compare two models by the means of their values on the same images.

    `new` and `reference` are values within `bounds`, `(images,)` each. `margin` is the largest
    accepted loss of the mean, in the unit of the values. `clusters` is described in
    `pupila.intervals`. The test is that of `compare_errors`, where the error of an image is its
    distance from the best value. In the result, a loss is negative, or with `lower_is_better`
    positive.

    Raises:
        PupilaError: the arrays do not fit each other, there are no images, a value is outside the
            bounds, or the margin allows any value.
    """
    low, high = bounds
    ours, theirs = (np.asarray(given, np.float64) for given in (new, reference))
    limits = np.full(ours.shape, high - low)
    if lower_is_better:
        compared = compare_errors(ours - low, theirs - low, limits, margin, clusters)
    else:
        compared = compare_errors(high - ours, high - theirs, limits, margin, clusters)
    sign, ends = (1 if lower_is_better else -1), compared.difference
    first, last = sorted((sign * ends.low, sign * ends.high))
    return Comparison(
        new=float(ours.mean()),
        reference=float(theirs.mean()),
        difference=Estimate(value=sign * ends.value, low=first, high=last, method=ends.method),
        p_value=compared.p_value,
        inferior=compared.inferior,
        needs_images=compared.needs_images,
    )
