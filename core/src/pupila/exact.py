"""Accuracies as exact fractions, so that comparisons with a budget do not depend on rounding.

In floats `0.96 - 0.95 > 0.01`, so a model that loses exactly the budget would appear to lose more.
"""

from __future__ import annotations

from fractions import Fraction


def exact(accuracy: float, images: int) -> Fraction:
    """Return the exact fraction of correct answers behind a rounded accuracy.

    An accuracy averaged in float32 is precise enough for up to a million images.
    """
    return Fraction(round(accuracy * images), images)


def as_written(number: float) -> Fraction:
    """Return a budget or margin as the exact decimal that the user wrote: 1/100 for 0.01."""
    return Fraction(str(number))
