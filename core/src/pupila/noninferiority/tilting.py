"""Tests whether the true mean of independent units may be lower than observed: bootstrap tilting.

The units are images, or clusters of images. The null hypothesis says how far the true mean lies
below the observed mean. Many distributions have such a true mean; the test uses the most likely of
these distributions: the observed values with tilted weights (Efron 1981, Canadian Journal of
Statistics 9:139). If tilting alone does not reach the true mean, the distribution also contains a
fraction of units answered completely wrong, even if the data has none. (In Tango's score, the same
fraction appears if no image was lost. Without this fraction, losses too rare to be in the data
would be ignored.) The p-value is the probability that a random sample of as many units from this
distribution has at least the observed sum.

Tilting is second-order correct (DiCiccio and Romano 1990, International Statistical Review 58:59):
it keeps the skewness that a few large losses cause, unlike a studentised difference. The
probability is not simulated: the distribution of the sum is computed by the fast Fourier transform.
Student's t corrects for a variance that is estimated from few units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pupila.evaluation import Estimate
from pupila.noninferiority.comparison import LEVEL, Comparison, last_rejected, sample_size

Floats = NDArray[np.float64]

_CELLS = 1 << 15
"""Number of lattice cells on which the distribution of the sum is computed."""
_REACH = 8
"""The lattice covers this many standard deviations on either side of the mean."""
_STEPS = 50
"""Number of bisections: enough for the full precision of the tilt."""
_SURE = 1e-15
"""Probabilities below this are rounding errors."""


@dataclass(frozen=True, eq=False)
class TiltingTest:
    """Tests whether the true sum over independent units may be lower than the observed sum."""

    values: Floats
    """What each unit adds to the sum, centred to a sum of zero, `(units,)`."""
    worst: float
    """What a unit that is answered completely wrong would add; below zero."""
    degrees: int
    """Degrees of freedom of Student's t."""

    def p_value(self, distance: float) -> float:
        """Return the p-value of the hypothesis: the true sum is `distance` below the observed sum.

        The p-value is 1 if `distance` is not positive.
        """
        if distance <= 0:
            return 1.0
        support, chances = self._null(distance)
        tail = _tail(support, chances, len(self.values), distance)
        if not _SURE < tail < 0.5:
            return max(tail, 0.0)
        normal = -NormalDist().inv_cdf(tail)
        return student_tail(normal * math.sqrt(self.degrees / (self.degrees + 1)), self.degrees)

    def deviation(self, distance: float) -> float:
        """Return the standard deviation of the sum if the hypothesis of `p_value` is true."""
        support, chances = self._null(max(distance, 0.0))
        return math.sqrt(len(self.values) * _variance(support, chances))

    def _null(self, distance: float) -> tuple[Floats, Floats]:
        """Return the most likely distribution of a unit whose mean is lower by `distance / units`.

        The result has the values, `worst` last, and their probabilities
        `p ∝ 1 / (1 + tilt · value)`. The tilt is at most `1 / -worst`; if it reaches that, `worst`
        gets the remaining probability.
        """
        worst = min(self.worst, float(self.values.min()))
        wanted = max(-distance / len(self.values), worst)
        support = np.append(self.values, worst)
        low, high = 0.0, 1 / -worst if worst < 0 else 0.0
        for _ in range(_STEPS):
            tilt = (low + high) / 2
            low, high = (tilt, high) if _mean(self.values, tilt) > wanted else (low, tilt)
        weights = _tilted(self.values, low)
        mean = float(weights @ self.values)
        lost = max(0.0, (mean - wanted) / (mean - worst)) if mean > worst else 0.0
        return support, np.append((1 - lost) * weights, lost)


def compare_by_tilting(
    figures: tuple[float, float],
    margin: float,
    images: int,
    test_of: Callable[..., tuple[TiltingTest, float]],
    method: str,
) -> Comparison:
    """Compare a figure of a new classifier with that of a reference.

    `figures` has the new classifier's figure, then the reference's. `test_of(null, above=False)`
    returns a test of the hypothesis that the true difference is `null` or less (with `above=True`,
    `null` or more), and the distance from `null` to the observed difference. `method` names the
    test in the result.
    """
    value = figures[0] - figures[1]

    def p_value(null: float, *, above: bool = False) -> float:
        test, distance = test_of(null, above=above)
        return test.p_value(distance)

    below_margin = value < -margin
    test, distance = test_of(-margin, above=below_margin)
    if not below_margin:
        distance = min(distance, margin)  # a gain counts as no difference
    at_margin, in_truth = (test.deviation(shift) * math.sqrt(images) for shift in (distance, 0.0))
    return Comparison(
        new=figures[0],
        reference=figures[1],
        difference=Estimate(
            value=value,
            low=last_rejected(lambda null: p_value(null) <= LEVEL, -1.0, value),
            high=last_rejected(lambda null: p_value(null, above=True) <= LEVEL, 1.0, value),
            method=method,
        ),
        p_value=p_value(-margin),
        inferior=below_margin and p_value(-margin, above=True) <= LEVEL,
        needs_images=sample_size(at_margin, in_truth, distance, images),
    )


def student_tail(value: float, degrees: int) -> float:
    """Return the probability that Student's t is at least `value`, to three digits.

    The approximation is that of Wallace 1959 (Ann. Math. Stat. 30:1121).
    """
    squeezed = math.sqrt(degrees * math.log1p(value * value / degrees))
    return NormalDist().cdf(-math.copysign(squeezed, value) * (8 * degrees + 1) / (8 * degrees + 3))


def _tilted(values: Floats, tilt: float) -> Floats:
    weights = 1 / np.maximum(1 + tilt * values, 1e-12)
    return weights / weights.sum()


def _mean(values: Floats, tilt: float) -> float:
    return float(_tilted(values, tilt) @ values)


def _variance(support: Floats, chances: Floats) -> float:
    mean = chances @ support
    return float(chances @ (support - mean) ** 2)


def _tail(support: Floats, chances: Floats, units: int, distance: float) -> float:
    """Return the probability that `units` random values sum to at least 0, the observed sum.

    Each value is split between its two neighbouring cells, which preserves the mean. The most
    common value lies exactly on a cell; the sum of the others is spread over `blur` cells, and
    sums within that distance count as ties.
    """
    deviation = math.sqrt(units * _variance(support, chances))
    if deviation == 0:
        return 0.0
    distinct, indices = np.unique(support, return_inverse=True)
    common = distinct[np.bincount(indices, chances).argmax()]
    step = 2 * _REACH * deviation / _CELLS
    cells = (support - common) / step
    lower = np.floor(cells)
    fraction = cells - lower
    at = lower.astype(np.int64) % _CELLS
    drawn = np.bincount(at, chances * (1 - fraction), _CELLS)
    drawn += np.bincount((at + 1) % _CELLS, chances * fraction, _CELLS)
    total = np.fft.irfft(_power(np.fft.rfft(drawn), units), _CELLS)
    blur = 2 * math.sqrt(units * float(chances @ (fraction * (1 - fraction))))
    mean = units * float(chances @ cells)
    observed = -units * common / step
    positions = np.arange(_CELLS)
    sums = positions + _CELLS * np.round((mean - positions) / _CELLS)
    return float(np.clip(total[sums >= observed - blur - 0.5].sum(), 0, 1))


def _power(spectrum: NDArray[np.complex128], exponent: int) -> NDArray[np.complex128]:
    """Return `spectrum ** exponent`; results below `_SURE`, which most are, become 0."""
    powers = np.zeros_like(spectrum)
    strong = np.abs(spectrum) > _SURE ** (1 / exponent)
    powers[strong] = spectrum[strong] ** exponent
    return powers
