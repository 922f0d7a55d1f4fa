"""Accuracies as exact fractions, so that a comparison with a budget does not depend on rounding.

In floats `0.96 - 0.95 > 0.01`: a model that lost exactly what it may would count as having lost
more.
"""

from __future__ import annotations

from fractions import Fraction


def exact(accuracy: float, images: int) -> Fraction:
    """Return the fraction of `images` answered right that an accuracy, rounded anyhow, stands for.

    An accuracy that was averaged in float32 will do for up to a million images.
    """
    return Fraction(round(accuracy * images), images)


def as_written(number: float) -> Fraction:
    """Return a budget or a margin as the decimal that was written: 1/100 for 0.01."""
    return Fraction(str(number))
