"""What a comparison comes to, and what all of them share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

from pupila.errors import PupilaError
from pupila.evaluation import Estimate

LEVEL = 0.025
"""Probability of a false pass at the margin, at most: one side of a 95 % interval."""

POWER = 0.8
"""Probability with which the number of images that is asked for decides."""

Z_LEVEL = NormalDist().inv_cdf(1 - LEVEL)
Z_POWER = NormalDist().inv_cdf(POWER)
TIE = 1e-9
"""Scores nearer than this are equal but for rounding."""
NARROW = 1e-4
"""How exactly the ends of an interval are found: a hundredth of a percentage point."""


@dataclass(frozen=True)
class Comparison:
    """A figure of a new classifier less that of a reference, held against a margin."""

    new: float
    reference: float
    difference: Estimate
    p_value: float
    """Of a true difference of `-margin` or less: at most `LEVEL` shows that it is better."""
    worse: bool
    """Whether the whole interval lies below `-margin`: it is shown to be worse than allowed."""
    needs_images: int | None
    """More images, with which the observed difference would be told from the margin with `POWER`.

    A gain counts as no difference. None where no number would do: it lies at the margin.
    """

    @property
    def shown(self) -> bool:
        """Whether it is shown to be no worse than the margin allows."""
        return self.p_value <= LEVEL


def check_margin(margin: float) -> None:
    """Refuse a margin that no difference could keep to or break."""
    if not 0 < margin < 1:
        raise PupilaError(f"A margin of {margin!r} allows no comparison: give one between 0 and 1.")


def images_to_tell(at_margin: float, in_truth: float, distance: float, images: int) -> int | None:
    """Return how many images tell a difference at this distance from a margin with `POWER`.

    None if no number does. More than the `images` there are; `at_margin` and `in_truth` are the
    deviations of one image's difference.
    """
    if abs(distance) < TIE:
        return None
    wanted = ((Z_LEVEL * at_margin + Z_POWER * in_truth) / distance) ** 2
    return max(images + 1, math.ceil(wanted))


def last_rejected(rejected: Callable[[float], bool], outer: float, inner: float) -> float:
    """Return the value nearest to `inner` that is rejected, as `outer` is."""
    while abs(inner - outer) > NARROW:
        middle = (outer + inner) / 2
        outer, inner = (middle, inner) if rejected(middle) else (outer, middle)
    return outer
