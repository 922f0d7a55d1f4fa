"""The result of a comparison, and what all comparisons share."""

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
"""Probability that the number of images asked for decides the question."""

Z_LEVEL = NormalDist().inv_cdf(1 - LEVEL)
Z_POWER = NormalDist().inv_cdf(POWER)
TIE = 1e-9
"""Scores closer than this differ only by rounding."""
NARROW = 1e-4
"""Precision of the ends of an interval: 0.01 percentage points."""


@dataclass(frozen=True)
class Comparison:
    """A figure of a new classifier minus that of a reference, tested against a margin."""

    new: float
    reference: float
    difference: Estimate
    p_value: float
    """For the hypothesis that the true difference is `-margin` or less."""
    inferior: bool
    """Whether the whole interval lies below `-margin`: shown to be worse than allowed."""
    needs_images: int | None
    """Number of images with which the observed difference would differ significantly from the
    margin with probability `POWER`; more than there are.

    A gain counts as no difference. None if no number is enough: the difference is at the margin.
    """

    @property
    def noninferior(self) -> bool:
        """Whether a model is shown to be no worse than the margin allows."""
        return self.p_value <= LEVEL


def check_margin(margin: float) -> None:
    """Raise PupilaError for a margin outside 0..1."""
    if not 0 < margin < 1:
        raise PupilaError(f"A margin of {margin!r} allows no comparison: give one between 0 and 1.")


def sample_size(at_margin: float, in_truth: float, distance: float, images: int) -> int | None:
    """Return how many images detect a difference at this `distance` from a margin with `POWER`.

    More than the `images` there are; None if no number is enough. `at_margin` and `in_truth` are
    the standard deviations of one image's difference.
    """
    if abs(distance) < TIE:
        return None
    wanted = ((Z_LEVEL * at_margin + Z_POWER * in_truth) / distance) ** 2
    return max(images + 1, math.ceil(wanted))


def last_rejected(rejected: Callable[[float], bool], outer: float, inner: float) -> float:
    """Return the value nearest to `inner` that is rejected, by bisection; `outer` is rejected."""
    while abs(inner - outer) > NARROW:
        middle = (outer + inner) / 2
        outer, inner = (middle, inner) if rejected(middle) else (outer, middle)
    return outer
