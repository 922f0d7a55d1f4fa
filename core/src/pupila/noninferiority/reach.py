"""The smallest margins that an equal model passes in `POWER` of runs; None where none below 1 does.

An equal model errs as often as the reference, on other images: `DISCORDANCE`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pupila.noninferiority.comparison import LEVEL, POWER, Z_POWER
from pupila.noninferiority.proportions import nearly_needed, power
from pupila.noninferiority.tilting import Tilting

DISCORDANCE = 0.05
"""Part of the images of which only one of two equal models is right: a good student's."""
_AREA_DEVIATION = 0.039
"""Of one image's difference of placements: two models of area .95 whose normal scores correlate by
.95, which makes 5 % of their answers differ, as `DISCORDANCE` (computed from 40,000 images)."""
_GRID = 1_000
"""Margins are given to a tenth of a percentage point."""
_MANY = 1_000
"""Images from which on the formula of the score test is within a tenth of a point of `power`."""


@lru_cache(maxsize=256)
def proportion_reach(images: int, discordance: float = DISCORDANCE) -> float | None:
    """Return the smallest margin of `compare_proportions` within reach.

    By the exact `power`; of more than 1,000 images by the formula, which is as good there.
    """
    if images < 1:
        return None

    def nearly(margin: float) -> bool:
        needed = nearly_needed(discordance, 0.0, margin)
        return needed is not None and needed <= images

    about = _smallest(nearly)
    if about is None or images > _MANY:
        return about

    def passes(margin: float) -> bool:
        return power(images, margin, discordance) >= POWER

    return _smallest(passes, 0.85 * about, 1.1 * about)


@lru_cache(maxsize=256)
def area_reach(positives: int, negatives: int) -> float | None:
    """Return the smallest margin of `compare_areas` within reach, `positives` the smallest class.

    An equal model comes out worse by .84 standard errors or more in one run of five.
    """
    if min(positives, negatives) < 1:
        return None
    sizes = positives, negatives
    values = np.concatenate([_normal_scores(size) / size for size in sizes])
    test = Tilting(_AREA_DEVIATION * values, -1 / min(sizes), max(1, min(sizes) - 1))
    unlucky = Z_POWER * test.deviation(0.0)
    return _smallest(lambda margin: test.p_value(margin - unlucky) <= LEVEL)


def _normal_scores(size: int) -> NDArray[np.float64]:
    """Return what `size` draws of a standard normal are, if they lie evenly."""
    normal = NormalDist()
    return np.array([normal.inv_cdf((place + 0.5) / size) for place in range(size)])


def _smallest(passes: Callable[[float], bool], low: float = 0.0, high: float = 1.0) -> float | None:
    """Return the smallest margin that passes, if all larger ones do; `low` and `high` are near."""
    fails, does = int(low * _GRID), min(_GRID, math.ceil(high * _GRID))
    if does < _GRID and not passes(does / _GRID):
        fails, does = does, _GRID
    while does - fails > 1:
        middle = (fails + does) // 2
        fails, does = (fails, middle) if passes(middle / _GRID) else (middle, does)
    return does / _GRID if does < _GRID else None
