"""Tests whether a proportion of the images reaches its lower limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.noninferiority.clustered import METHOD, mean_test, shared_clusters
from pupila.noninferiority.comparison import LEVEL, TIE, last_rejected, sample_size
from pupila.noninferiority.exact import binomial
from pupila.noninferiority.tilting import TiltingTest


@dataclass(frozen=True)
class LimitCheck:
    """A proportion of the images, tested against its lower limit."""

    proportion: Estimate
    above: bool
    """Whether the whole interval lies at or above the limit."""
    below: bool
    """Whether the whole interval lies below the limit."""
    needs_images: int | None
    """Number of images on which the test would decide (see `Comparison.needs_images`)."""


def check_limit(hits: int, images: int, limit: float) -> LimitCheck:
    """Test the proportion `hits / images` against the lower limit `limit`.

    The interval is exact: Clopper and Pearson 1934 (Biometrika 26:404).

    Raises:
        PupilaError: there are no images, or fewer images than hits, or the limit is outside 0..1.
    """
    if not 0 <= hits <= images or not images or not 0 < limit <= 1:
        raise PupilaError(
            f"{hits!r} of {images!r} images cannot be tested against a limit of {limit!r}: "
            f"expected at least one image, no more hits than images, and a limit in (0, 1]."
        )
    proportion = proportion_interval(hits, images)
    return LimitCheck(
        proportion=proportion,
        above=proportion.low >= limit,
        below=proportion.high < limit,
        needs_images=_needed_for(hits, images, limit),
    )


def check_proportion(
    hits: ArrayLike, limit: float, clusters: ArrayLike | None = None
) -> LimitCheck:
    """Test the fraction of images that are hits against the lower limit `limit`.

    `hits` says which images are hits, `(images,)`. `clusters` is described in `pupila.intervals`.
    If no two images share a cluster, the result is that of `check_limit`.

    Raises:
        PupilaError: there are no images, or the limit is outside 0..1.
    """
    is_hit = np.asarray(hits, np.bool_)
    images = len(is_hit)
    exact = check_limit(int(is_hit.sum()), images, limit)
    members = shared_clusters(clusters)
    if members is None:
        return exact
    value = exact.proportion.value

    def test_of(null: float, *, above: bool = False) -> tuple[TiltingTest, float]:
        values = -is_hit.astype(np.float64) if above else is_hit.astype(np.float64)
        return mean_test(values, members, -null if above else null, minimum=-1 if above else 0)

    def rejected(null: float, *, above: bool = False) -> bool:
        test, distance = test_of(null, above=above)
        return test.p_value(distance) <= LEVEL

    low = last_rejected(rejected, 0.0, value)
    high = last_rejected(lambda null: rejected(null, above=True), 1.0, value)
    test, distance = test_of(limit, above=value < limit)
    spreads = [test.deviation(shift) * math.sqrt(images) for shift in (distance, 0.0)]
    return LimitCheck(
        proportion=Estimate(value=value, low=low, high=high, method=METHOD),
        above=low >= limit,
        below=high < limit,
        needs_images=sample_size(spreads[0], spreads[1], distance, images),
    )


@lru_cache(maxsize=4096)
def proportion_interval(hits: int, images: int, level: float = LEVEL) -> Estimate:
    """Return the proportion `hits / images` with its exact interval.

    `level` is the error probability at each end. Clopper and Pearson 1934 (Biometrika 26:404).
    """

    def few(rate: float) -> bool:
        return _at_least(hits, images, rate) <= level

    def many(rate: float) -> bool:
        return _at_least(images - hits, images, 1 - rate) <= level

    value = hits / images
    return Estimate(
        value=value,
        low=last_rejected(few, 0.0, value) if hits else 0.0,
        high=last_rejected(many, 1.0, value) if hits < images else 1.0,
        method="Clopper and Pearson 1934, exact",
    )


def _at_least(hits: int, images: int, rate: float) -> float:
    counts = np.arange(hits, images + 1)
    return float(binomial(np.full_like(counts, images), counts, np.array([rate])).sum())


def _needed_for(hits: int, images: int, limit: float) -> int | None:
    """Return how many images would decide whether the limit is reached; None if no number would."""
    value = hits / images
    if abs(value - limit) < TIE or limit == 1:
        return None
    if value == 1:  # so many hits without a miss are improbable at the limit
        return max(images + 1, math.ceil(math.log(LEVEL) / math.log(limit)))
    at_limit, in_truth = math.sqrt(limit * (1 - limit)), math.sqrt(value * (1 - value))
    return sample_size(at_limit, in_truth, value - limit, images)
