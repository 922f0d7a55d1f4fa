"""Formats numbers for the gate's sentences, and has the words for a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


def percent(fraction: float) -> str:
    """Format a fraction as a percentage, such as `94.5 %`."""
    return f"{100 * fraction:.1f} %"


def _points(fraction: float) -> str:
    amount = f"{100 * fraction:.1f}".removesuffix(".0")
    return f"{amount} point" if amount == "1" else f"{amount} points"


def _signed_points(fraction: float) -> str:
    return f"{100 * fraction:+.1f}".replace("-", "−")


def _three_digits(value: float) -> str:
    return f"{value:.3f}"


def _signed_digits(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def _bytes(value: float) -> str:
    return f"{value:,.0f} bytes"


def _milliseconds(value: float) -> str:
    return f"{value:.3g} ms"


@dataclass(frozen=True)
class Unit:
    """Formats numbers of one kind, such as fractions, for a sentence."""

    value: Callable[[float], str]
    """Formats a value, such as `94.5 %`."""
    amount: Callable[[float], str]
    """Formats an amount, such as a margin of `3 points`."""
    change: Callable[[float], str] = _signed_digits
    """Formats a difference with its sign, such as `−1.0`."""
    change_unit: str = ""
    """Unit written after a difference, such as ` points`."""


def quantity(unit: str, digits: int) -> Unit:
    """Return how numbers with a unit such as `% of the width` are formatted."""

    def amount(value: float) -> str:
        return f"{value:.{digits}f} {unit}"

    def change(value: float) -> str:
        return f"{value:+.{digits}f}".replace("-", "−")

    return Unit(amount, amount, change)


FRACTION = Unit(percent, _points, _signed_points, " points")
AREA = Unit(_three_digits, _three_digits)
BYTES = Unit(_bytes, _bytes)
MILLISECONDS = Unit(_milliseconds, _milliseconds)


@dataclass(frozen=True)
class Direction:
    """Whether more of a metric is better or worse, with the words for a loss."""

    sign: Literal[1, -1]
    """1 if more is better, -1 if less is better."""
    lose: str
    """Verb for what a worse model does, such as `lose`."""
    beyond: str
    """Where an interval lies that shows too large a loss; `{}` is the amount that is too much."""
    explanation: str = ""
    """Ends the text of a difference, such as `; more is worse`."""

    def gain(self, difference: float) -> float:
        """Return a difference as a gain: above zero if the new model is better."""
        return self.sign * difference


MORE_IS_BETTER = Direction(1, "lose", "the interval ends {} below")
LESS_IS_BETTER = Direction(-1, "add", "the interval begins {} above", "; more is worse")
