"""A part of the images, held against the least that is allowed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.noninferiority.clustered import METHOD, mean_test, shared_clusters
from pupila.noninferiority.comparison import LEVEL, TIE, images_to_tell, last_rejected
from pupila.noninferiority.exact import binomial
from pupila.noninferiority.tilting import Tilting


@dataclass(frozen=True)
class LimitCheck:
    """A part of the images, held against the least that is allowed."""

    part: Estimate
    shown: bool
    """Whether the interval does not reach below the limit."""
    worse: bool
    """Whether it lies wholly below the limit."""
    needs_images: int | None
    """As in `Comparison`."""


def check_limit(hits: int, images: int, limit: float) -> LimitCheck:
    """Hold `hits` of `images` against the least part that is allowed.

    Interval: Clopper and Pearson 1934 (Biometrika 26:404), exact.

    Raises:
        PupilaError: there are no images, or not as many as hits, or the limit is outside 0..1.
    """
    if not 0 <= hits <= images or not images or not 0 < limit <= 1:
        raise PupilaError(
            f"{hits!r} of {images!r} images cannot be held against a limit of {limit!r}: expected "
            f"at least one image, no more hits than images, and a limit in (0, 1]."
        )
    part = part_interval(hits, images)
    return LimitCheck(
        part=part,
        shown=part.low >= limit,
        worse=part.high < limit,
        needs_images=_needed_for(hits, images, limit),
    )


def check_part(hits: ArrayLike, limit: float, clusters: ArrayLike | None = None) -> LimitCheck:
    """Hold the images that are hits, `(images,)`, against the least part that is allowed.

    `clusters` as in `pupila.intervals`. Where each image is one of its own: `check_limit`.

    Raises:
        PupilaError: there are no images, or the limit is outside 0..1.
    """
    found = np.asarray(hits, np.bool_)
    images = len(found)
    exact = check_limit(int(found.sum()), images, limit)
    members = shared_clusters(clusters)
    if members is None:
        return exact
    part = exact.part.value

    def test_of(null: float, *, above: bool = False) -> tuple[Tilting, float]:
        values = -found.astype(np.float64) if above else found.astype(np.float64)
        return mean_test(values, members, -null if above else null, least=-1 if above else 0)

    def rejected(null: float, *, above: bool = False) -> bool:
        test, distance = test_of(null, above=above)
        return test.p_value(distance) <= LEVEL

    low = last_rejected(rejected, 0.0, part)
    high = last_rejected(lambda null: rejected(null, above=True), 1.0, part)
    test, distance = test_of(limit, above=part < limit)
    spreads = [test.deviation(each) * math.sqrt(images) for each in (distance, 0.0)]
    return LimitCheck(
        part=Estimate(value=part, low=low, high=high, method=METHOD),
        shown=low >= limit,
        worse=high < limit,
        needs_images=images_to_tell(spreads[0], spreads[1], distance, images),
    )


@lru_cache(maxsize=4096)
def part_interval(hits: int, images: int, level: float = LEVEL) -> Estimate:
    """Return a part of the images with its exact interval, which misses at each end by `level`.

    Clopper and Pearson 1934 (Biometrika 26:404).
    """

    def few(rate: float) -> bool:
        return _at_least(hits, images, rate) <= level

    def many(rate: float) -> bool:
        return _at_least(images - hits, images, 1 - rate) <= level

    part = hits / images
    return Estimate(
        value=part,
        low=last_rejected(few, 0.0, part) if hits else 0.0,
        high=last_rejected(many, 1.0, part) if hits < images else 1.0,
        method="Clopper and Pearson 1934, exact",
    )


def _at_least(hits: int, images: int, rate: float) -> float:
    counts = np.arange(hits, images + 1)
    return float(binomial(np.full_like(counts, images), counts, np.array([rate])).sum())


def _needed_for(hits: int, images: int, limit: float) -> int | None:
    """Return how many images would tell the observed part from the limit; None if none would."""
    part = hits / images
    if abs(part - limit) < TIE or limit == 1:
        return None
    if part == 1:  # as many without a fault as the limit makes improbable
        return max(images + 1, math.ceil(math.log(LEVEL) / math.log(limit)))
    at_limit, in_truth = math.sqrt(limit * (1 - limit)), math.sqrt(part * (1 - part))
    return images_to_tell(at_limit, in_truth, part - limit, images)
