"""Computes the largest probability, over all true rates, that Tango's score reaches a bound.

Gained images are those that only the new classifier answers correctly, lost images those that only
the reference does. Gained and lost images are the discordant images; the discordance is the
probability that an image is discordant.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila.noninferiority.comparison import TIE

_DEVIATIONS = 9
"""Counts further from the mean, in standard deviations, are left out: they are below 1e-18."""
_BLOCK = 16
"""How many discordances are computed at once."""

Floats = NDArray[np.float64]


def score(gained: ArrayLike, lost: ArrayLike, images: int, null: float) -> Floats:
    """Return Tango's score for a true difference of `null`.

    `gained` and `lost` are numbers of images, out of `images`. Both may be arrays of the same
    shape; the result then has this shape. Tango 1998, equations 3 and 4:
    `(g - l - n·null) / sqrt(n (2q + null (1 - null)))`, where `q` is the most likely probability of
    a lost image if `null` is true.
    """
    won, gone = np.asarray(gained, np.float64), np.asarray(lost, np.float64)
    linear = (2 * images - won + gone) * null - won - gone
    constant = -gone * null * (1 - null)
    root = np.sqrt(np.maximum(linear**2 - 8 * images * constant, 0))
    lost_rate = (root - linear) / (4 * images)
    spread = np.sqrt(np.maximum(images * (2 * lost_rate + null * (1 - null)), 0))
    excess = won - gone - images * null
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(excess) < TIE, 0.0, excess / spread)


def boundary_of(min_score: float, images: int, null: float) -> NDArray[np.int64]:
    """Return the fewest gained images with which the score reaches `min_score`, `(images + 1,)`.

    Element `d` is for `d` discordant images. From one element to the next, the number stays the
    same or grows by one, since a gained image raises the score and a lost image lowers it.
    """
    bounds = np.empty(images + 1, np.int64)
    needed = 0
    for discordant in range(images + 1):
        if needed <= discordant and not _reaches(needed, discordant, images, null, min_score):
            needed += 1
        bounds[discordant] = needed
    return bounds


def _reaches(gained: int, discordant: int, images: int, null: float, min_score: float) -> bool:
    """Whether the score is at least `min_score`: the formula of `score`, for single numbers."""
    lost = discordant - gained
    linear = (2 * images - gained + lost) * null - discordant
    root = math.sqrt(max(linear * linear + 8 * images * lost * null * (1 - null), 0.0))
    variance = images * ((root - linear) / (2 * images) + null * (1 - null))
    excess = gained - lost - images * null
    if abs(excess) < TIE:
        return min_score <= TIE
    if variance <= 0:
        return excess > 0
    return excess >= (min_score - TIE) * math.sqrt(variance)


def largest_probability(boundary: NDArray[np.int64], images: int, null: float) -> float:
    """Return the largest probability of a pass over all discordances, if the difference is `null`.

    A test passes if at least `boundary[d]` of `d` discordant images are gained (see `boundary_of`).
    The search runs over arcsine-transformed discordances, whose variance is constant.
    """
    lowest = math.asin(math.sqrt(abs(null)))
    angles = np.linspace(lowest, math.pi / 2, 48 + 4 * math.isqrt(images))
    step = float(angles[1] - angles[0])
    probabilities = _at_angles(boundary, images, angles, null)
    peak = float(angles[int(probabilities.argmax())])
    near: Floats = np.clip(np.linspace(peak - step, peak + step, 33), lowest, math.pi / 2)
    largest = max(probabilities.max(), _at_angles(boundary, images, near, null).max())
    return float(np.clip(largest, 0.0, 1.0))


def _at_angles(boundary: NDArray[np.int64], images: int, angles: Floats, null: float) -> Floats:
    discordances: Floats = np.clip(np.square(np.sin(angles)), max(abs(null), 1e-12), 1 - 1e-12)
    blocks = [discordances[start : start + _BLOCK] for start in range(0, len(angles), _BLOCK)]
    return np.concatenate([pass_probabilities(boundary, images, block, null) for block in blocks])


def pass_probabilities(
    boundary: NDArray[np.int64], images: int, discordances: Floats, difference: float
) -> Floats:
    """Return the probability of a pass for each of `discordances`, given the true `difference`.

    A test passes if at least `boundary[d]` of `d` discordant images are gained. `d` is binomial.
    The number of gained images among the `d` discordant images is binomial too, with the rate
    `r = (discordance + difference) / (2 discordance)`.

    The tail of the distribution of gained images at `d + 1` is the tail at `d` plus one term. The
    term is `r P(k - 1)` if the bound `k` stays the same, and `-(1 - r) P(k)` if `k` grows by one.
    So one running sum gives all tails.
    """
    margin = _DEVIATIONS * np.sqrt(images * discordances * (1 - discordances)) + _DEVIATIONS
    first = max(0, math.floor((images * discordances - margin).min()))
    last = min(images, math.ceil((images * discordances + margin).max()))
    any_rate = np.full_like(discordances, 0.5)  # without discordant images the rate is irrelevant
    gained = (discordances + difference) / 2
    rate = np.divide(gained, discordances, out=any_rate, where=discordances > 0)
    counts = np.arange(first, last + 1)
    weights = binomial(np.full_like(counts, images), counts, discordances)
    stays = (np.diff(boundary[first : last + 1]) == 0)[:, None]
    tops = boundary[first:last]
    at = np.where(stays[:, 0], tops - 1, tops)
    steps = binomial(counts[:-1], at, rate) * np.where(stays, rate, rate - 1)
    kept = np.arange(int(boundary[first]), first + 1)
    start = binomial(np.full_like(kept, first), kept, rate).sum(axis=0)
    tails = start + np.concatenate([np.zeros((1, len(rate))), np.cumsum(steps, axis=0)])
    return (weights * tails).sum(axis=0)


def binomial(totals: NDArray[np.int64], hits: NDArray[np.int64], rates: Floats) -> Floats:
    """Return the binomial probability of each number of hits at each rate, `(counts, rates)`.

    `totals` and `hits` are `(counts,)`; `rates` are `(rates,)`. The probability of an impossible
    number of hits is 0.
    """
    if not len(totals):
        return np.zeros((0, len(rates)))
    logs = _log_factorials(int(totals.max()))
    possible = (hits >= 0) & (hits <= totals)
    clipped = np.clip(hits, 0, totals)
    missed = totals - clipped
    ways = np.where(possible, logs[totals] - logs[clipped] - logs[missed], -np.inf)
    inside = np.clip(rates, 1e-300, 1 - 1e-16)
    powers = clipped[:, None] * np.log(inside) + missed[:, None] * np.log1p(-inside)
    return np.exp(ways[:, None] + powers)


def _log_factorials(most: int) -> Floats:
    return _log_factorials_to(1 << most.bit_length())


@lru_cache(maxsize=32)
def _log_factorials_to(most: int) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most + 1)))])
