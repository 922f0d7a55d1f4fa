"""Axes of plots: where a value is drawn, and which ticks are shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Axis:
    """An axis that maps values from `low` to `high` to positions from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def position(self, value: float) -> float:
        """Return where a value is drawn; values beyond an end are drawn at that end."""
        low, value, high = (self._scaled(number) for number in (self.low, value, self.high))
        fraction = (value - low) / (high - low)
        return self.start + min(1.0, max(0.0, fraction)) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Return round values for the ticks, at most `most` of them if possible."""
        if self.logarithmic:
            return self._decades(most)
        step = next(size for size in _round_numbers(self.high - self.low, most))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]

    def _decades(self, most: int) -> list[float]:
        """Return as many multiples of powers of ten as fit."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values: list[float] = []
        for steps in (range(1, 10), _STEPS, (1, 3), (1,)):
            multiples = [step * 10.0**power for power in powers for step in steps]
            values = [number for number in multiples if self.low <= number <= self.high]
            if len(values) <= most and self._have_room(values, most):
                break
        return values

    def _have_room(self, values: Sequence[float], most: int) -> bool:
        length = math.log10(self.high / self.low)
        return all(
            math.log10(after / before) >= 0.7 * length / most for before, after in pairwise(values)
        )

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.logarithmic else value


def logarithmic(values: Sequence[float], start: float, end: float) -> Axis:
    """Return a logarithmic axis that contains these positive values, with some room."""
    return Axis(min(values) / 1.25, max(values) * 1.25, start, end, logarithmic=True)


def of_accuracies(values: Sequence[float], bottom: float, top: float) -> Axis:
    """Return an axis that contains these fractions, with some room; it stays within 0..1."""
    low, high = min(values), max(values)
    room = max(0.01, 0.04 * (high - low))
    return Axis(max(0.0, low - room), min(1.0, high + room), bottom, top)


def of_lengths(values: Sequence[float], bottom: float, top: float) -> Axis:
    """Return an axis from 0 that contains these values, with some room."""
    return Axis(0.0, 1.04 * max(values) or 1.0, bottom, top)


def spread_out(positions: Sequence[float], gap: float, first: float, last: float) -> list[float]:
    """Return the positions, moved as little as possible to be at least `gap` apart.

    The order is kept. The method is isotonic regression (least squares under an order): positions
    that would overlap are centred on their mean. All positions stay between `first` and `last`. If
    there is not enough room, the gap is smaller.
    """
    gap = min(gap, (last - first) / max(1, len(positions) - 1))
    order = sorted(range(len(positions)), key=lambda row: positions[row])
    pools: list[tuple[float, int]] = []
    for turn, row in enumerate(order):
        mean, count = positions[row] - gap * turn, 1
        while pools and pools[-1][0] > mean:
            other, more = pools.pop()
            mean, count = (mean * count + other * more) / (count + more), count + more
        pools.append((mean, count))
    shifts = [mean for mean, count in pools for _ in range(count)]
    moved = list(positions)
    for turn, (row, shift) in enumerate(zip(order, shifts, strict=True)):
        highest = last - gap * (len(positions) - 1)
        moved[row] = min(max(shift, first), highest) + gap * turn
    return moved


def _round_numbers(span: float, most: int) -> Iterable[float]:
    """Yield round steps that divide a span into at most `most` intervals, smallest first."""
    power = math.floor(math.log10(span / most)) if span > 0 else 0
    while True:
        for step in _STEPS:
            if span / (step * 10.0**power) <= most:
                yield step * 10.0**power
        power += 1
