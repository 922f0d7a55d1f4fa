"""A part of the images, held against the least that is allowed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pupila.errors import PupilaError
from pupila.evaluation import Estimate
from pupila.noninferiority.comparison import LEVEL, TIE, images_to_tell, last_rejected
from pupila.noninferiority.exact import binomial


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
