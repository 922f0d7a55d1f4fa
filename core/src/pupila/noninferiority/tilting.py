"""Whether a sum over independent units may truly be lower: bootstrap tilting.

The units are images, or clusters of images. The null hypothesis says how far the truth lies below
what was observed. Of all distributions with that mean the likeliest is taken: the observed values,
tilted (Efron 1981, Canadian Journal of Statistics 9:139), and, where the tilt alone does not reach
so far, a part of units that were answered wholly wrong, of which none may be among those at hand.
Such a part is what Tango's score has where no image was lost; without it rare losses pass for none.
The p-value is the probability that so many units drawn from it have the observed sum or more.

Tilting is second-order correct (DiCiccio and Romano 1990, International Statistical Review 58:59):
it keeps the skewness of few large losses, which a studentised difference does not. The probability
is no simulation: the distribution of the sum is computed by the fast Fourier transform. Student's t
makes up for a variance that few units do not tell, as it does for a mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pupila.evaluation import Estimate
from pupila.noninferiority.comparison import LEVEL, Comparison, images_to_tell, last_rejected

Floats = NDArray[np.float64]

_CELLS = 1 << 15
"""Of the lattice on which the sum is added up."""
_REACH = 8
"""Standard deviations on either side of the mean that the lattice holds."""
_STEPS = 50
"""Halvings: the tilt is then known to the last digit."""
_SURE = 1e-15
"""Probabilities below this are rounding."""


@dataclass(frozen=True, eq=False)
class Tilting:
    """What each unit adds to a sum, but for a constant, and the most that one can take from it."""

    values: Floats
    """`(units,)`, with a sum of zero."""
    worst: float
    """What a unit that is answered wholly wrong adds: below zero."""
    degrees: int
    """Of freedom, of Student's t."""

    def p_value(self, distance: float) -> float:
        """Return the p-value of a true sum that is lower than the observed one by `distance`."""
        if distance <= 0:
            return 1.0
        support, chances = self._null(distance)
        tail = _tail(support, chances, len(self.values), distance)
        if not _SURE < tail < 0.5:
            return max(tail, 0.0)
        normal = -NormalDist().inv_cdf(tail)
        return student_tail(normal * math.sqrt(self.degrees / (self.degrees + 1)), self.degrees)

    def deviation(self, distance: float) -> float:
        """Return the standard deviation of the sum, if it is lower by `distance` in truth."""
        support, chances = self._null(max(distance, 0.0))
        return math.sqrt(len(self.values) * _variance(support, chances))

    def _null(self, distance: float) -> tuple[Floats, Floats]:
        """Return the likeliest distribution of a unit whose mean is lower by `distance / units`.

        Values, the wholly wrong one last, and their probabilities: `p ∝ 1 / (1 + tilt · value)`
        with a tilt up to `1 / -worst`, where the wholly wrong one gets the rest.
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


def compared(
    figures: tuple[float, float],
    margin: float,
    images: int,
    test_of: Callable[..., tuple[Tilting, float]],
    method: str,
) -> Comparison:
    """Compare two figures, of a new classifier and of a reference.

    `test_of(null, above=False)` returns the test of a true difference of `null` or less (`above`:
    or more), and how far that lies from the observed one.
    """
    value = figures[0] - figures[1]

    def p_value(null: float, *, above: bool = False) -> float:
        test, distance = test_of(null, above=above)
        return test.p_value(distance)

    below_margin = value < -margin
    test, distance = test_of(-margin, above=below_margin)
    if not below_margin:
        distance = min(distance, margin)  # a gain is not counted on
    at_margin, in_truth = (test.deviation(each) * math.sqrt(images) for each in (distance, 0.0))
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
        worse=below_margin and p_value(-margin, above=True) <= LEVEL,
        needs_images=images_to_tell(at_margin, in_truth, distance, images),
    )


def student_tail(value: float, degrees: int) -> float:
    """Return the probability of more, to three digits (Wallace 1959, Ann. Math. Stat. 30:1121)."""
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
    """Return the probability that `units` draws add up to the observed sum, which is 0, or more.

    Each value is shared between the two cells beside it, so that means are kept. The commonest
    value lies on a cell by itself; of the others the sum is spread by `blur` cells, and what may
    be a tie is one.
    """
    deviation = math.sqrt(units * _variance(support, chances))
    if deviation == 0:
        return 0.0
    distinct, places = np.unique(support, return_inverse=True)
    common = distinct[np.bincount(places, chances).argmax()]
    step = 2 * _REACH * deviation / _CELLS
    cells = (support - common) / step
    lower = np.floor(cells)
    part = cells - lower
    at = lower.astype(np.int64) % _CELLS
    drawn = np.bincount(at, chances * (1 - part), _CELLS)
    drawn += np.bincount((at + 1) % _CELLS, chances * part, _CELLS)
    total = np.fft.irfft(_power(np.fft.rfft(drawn), units), _CELLS)
    blur = 2 * math.sqrt(units * float(chances @ (part * (1 - part))))
    mean = units * float(chances @ cells)
    observed = -units * common / step
    places = np.arange(_CELLS)
    sums = places + _CELLS * np.round((mean - places) / _CELLS)
    return float(np.clip(total[sums >= observed - blur - 0.5].sum(), 0, 1))


def _power(spectrum: NDArray[np.complex128], exponent: int) -> NDArray[np.complex128]:
    """Return `spectrum ** exponent`; what is below `_SURE` then is 0, as most of it is."""
    powers = np.zeros_like(spectrum)
    strong = np.abs(spectrum) > _SURE ** (1 / exponent)
    powers[strong] = spectrum[strong] ** exponent
    return powers
