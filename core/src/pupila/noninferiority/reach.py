"""Computes the smallest margin within reach of a test on a given number of images.

A margin is within reach if an equal model passes the test with the probability `POWER`. An equal
model makes as many errors as the reference, but on other images (see `DISCORDANCE`). The
functions return None if there are too few images for any margin.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pupila.noninferiority.comparison import LEVEL, POWER, Z_POWER
from pupila.noninferiority.proportions import power, score_test_sample_size
from pupila.noninferiority.tilting import TiltingTest

DISCORDANCE = 0.05
"""Fraction of the images that only one of two equal models answers correctly.

The value is that of a good student against its reference.
"""
_AREA_DEVIATION = 0.039
"""Standard deviation of one image's difference of placements (see `compare_auc`).

Computed from 40,000 images, for two models of area 0.95 whose normal scores have a correlation of
0.95, so that 5 % of their answers differ, as in `DISCORDANCE`.
"""
_GRID = 1_000
"""Margins are rounded to 0.1 percentage points."""
_MANY = 1_000
"""Above this number of images, `score_test_sample_size` agrees with `power` within 0.1 percentage
points."""


@lru_cache(maxsize=256)
def proportion_reach(images: int, discordance: float = DISCORDANCE) -> float | None:
    """Return the smallest margin within reach of `compare_proportions`, given the number of images.

    For up to 1,000 images, the margin is computed from the exact `power`. For more images, it is
    computed from `score_test_sample_size`, which agrees with `power` within 0.1 percentage points.
    """
    if images < 1:
        return None

    def nearly(margin: float) -> bool:
        needed = score_test_sample_size(discordance, 0.0, margin)
        return needed is not None and needed <= images

    about = _smallest(nearly)
    if about is None or images > _MANY:
        return about

    def passes(margin: float) -> bool:
        return power(images, margin, discordance) >= POWER

    return _smallest(passes, 0.85 * about, 1.1 * about)


@lru_cache(maxsize=256)
def auc_reach(positives: int, negatives: int) -> float | None:
    """Return the smallest margin within reach of `compare_auc`.

    The arguments are the numbers of images of the two classes. In one run of five, the area of an
    equal model is measured too low by 0.84 standard errors or more; the margin has to allow for
    this error.
    """
    if min(positives, negatives) < 1:
        return None
    sizes = positives, negatives
    values = np.concatenate([_normal_scores(size) / size for size in sizes])
    test = TiltingTest(_AREA_DEVIATION * values, -1 / min(sizes), max(1, min(sizes) - 1))
    unlucky = Z_POWER * test.deviation(0.0)
    return _smallest(lambda margin: test.p_value(margin - unlucky) <= LEVEL)


def _normal_scores(size: int) -> NDArray[np.float64]:
    """Return `size` evenly spaced quantiles of the standard normal distribution."""
    normal = NormalDist()
    return np.array([normal.inv_cdf((rank + 0.5) / size) for rank in range(size)])


def _smallest(passes: Callable[[float], bool], low: float = 0.0, high: float = 1.0) -> float | None:
    """Find by bisection the smallest margin that passes; all larger margins must pass.

    `low` and `high` are a first guess of its range.
    """
    failing, passing = int(low * _GRID), min(_GRID, math.ceil(high * _GRID))
    if passing < _GRID and not passes(passing / _GRID):
        failing, passing = passing, _GRID
    while passing - failing > 1:
        middle = (failing + passing) // 2
        failing, passing = (failing, middle) if passes(middle / _GRID) else (middle, passing)
    return passing / _GRID if passing < _GRID else None
