"""The result of a comparison of two models, and functions that all comparisons share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from pupila.errors import PupilaError
from pupila.evaluation import Estimate

LEVEL = 0.025
"""Highest probability of a false pass at the margin: one side of a 95 % interval."""

POWER = 0.8
"""Probability with which a test on `needs_images` images gives a significant result."""

Z_LEVEL = NormalDist().inv_cdf(1 - LEVEL)
Z_POWER = NormalDist().inv_cdf(POWER)
TIE = 1e-9
"""Two scores that differ by less than this are treated as equal: they differ by rounding only."""
NARROW = 1e-4
"""Precision of the ends of an interval: 0.01 percentage points."""


@dataclass(frozen=True)
class Comparison:
    """A figure of a new model minus that of a reference, tested against a margin.

    More is better, except in `compare_errors`: there, the margin is `+margin`, and "below" in the
    descriptions means above it.
    """

    new: float
    reference: float
    difference: Estimate
    p_value: float
    """p-value of the null hypothesis that the true difference is `-margin` or less."""
    inferior: bool
    """Whether the new model is shown to be worse: the whole interval lies below `-margin`."""
    needs_images: int | None
    """Number of images on which the test would decide with probability `POWER`, if the observed
    difference were the true one. It is always more than the number of images tested.

    A gain counts as no difference. None if the difference is at the margin: no number is enough.
    """

    @property
    def noninferior(self) -> bool:
        """Whether the new model is shown to be no worse than the margin allows."""
        return self.p_value <= LEVEL


def check_margin(margin: float) -> None:
    """Make sure that a margin lies between 0 and 1.

    Raises:
        PupilaError: the margin is outside this range.
    """
    if not 0 < margin < 1:
        raise PupilaError(f"A margin of {margin!r} allows no comparison: give one between 0 and 1.")


def sample_size(at_margin: float, in_truth: float, distance: float, images: int) -> int | None:
    """Return how many images are needed to tell a difference from a margin with power `POWER`.

    `distance` is the difference minus the margin. `at_margin` and `in_truth` are standard
    deviations of one image's difference: `at_margin` if the true difference is at the margin,
    `in_truth` if it is the expected difference. The result is always more than `images`, the number
    of images tested; None if no number is enough.
    """
    if abs(distance) < TIE:
        return None
    wanted = ((Z_LEVEL * at_margin + Z_POWER * in_truth) / distance) ** 2
    return max(images + 1, math.ceil(wanted))


def last_rejected(rejected: Callable[[float], bool], outer: float, inner: float) -> float:
    """Find by bisection the rejected value nearest to `inner`, with the precision `NARROW`.

    The search lies between `outer`, which must be rejected, and `inner`. `rejected` tells whether a
    value is rejected.
    """
    while abs(inner - outer) > NARROW:
        middle = (outer + inner) / 2
        outer, inner = (middle, inner) if rejected(middle) else (outer, middle)
    return outer
