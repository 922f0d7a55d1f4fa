"""Channels of a model that stand or fall together, and where they are in its weights.

Channels tied to one another, so that none can be cut without the others, are a *unit*. See
`pupila_prune.graph` for what ties them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Units = NDArray[np.int64]
"""A unit's number for each entry along an axis; `FIXED` where it is never cut."""
Keep = NDArray[np.bool_]
"""Of each unit `(units,)`: whether it is kept."""
Part = Literal["filters", "follows", "reads"]
"""What the entries of an axis do for their channels: make them, alter them, or use them."""

FIXED = -1


@dataclass(frozen=True)
class Axis:
    """One axis of one weight, along which units are cut."""

    layer: str
    weight: str
    """Name of the variable within its layer: `kernel`, `gamma`, …"""
    number: int
    units: Units
    part: Part


@dataclass(frozen=True)
class Channels:
    """All units of a model, and where they are."""

    count: int
    """How many units there are; they are numbered from 0."""
    axes: tuple[Axis, ...]
    untouched: tuple[str, ...]
    """Names of layers and operations that are not understood: what they read is never cut."""
    sizes: dict[tuple[str, str], int]
    """Entries of each weight, by layer and name."""
    widths: dict[str, Units]
    """The last axis of what each layer gives, by the layer's name."""

    @property
    def filters(self) -> tuple[Axis, ...]:
        """The axes along which channels are made, one for each layer that makes any."""
        return tuple(axis for axis in self.axes if axis.part == "filters")

    def parameters(self, keep: Keep) -> int:
        """Return the parameters of the model when only some units are kept."""
        left = dict(self.sizes)
        for axis in self.axes:
            place, kept = (axis.layer, axis.weight), len(kept_entries(axis.units, keep))
            left[place] = left[place] * kept // len(axis.units)
        return sum(left.values())

    def costs(self) -> NDArray[np.float64]:
        """Return how many parameters each unit alone takes along `(units,)`."""
        costs = np.zeros(self.count)
        by_weight: dict[tuple[str, str], list[Axis]] = defaultdict(list)
        for axis in self.axes:
            by_weight[axis.layer, axis.weight].append(axis)
        for place, axes in by_weight.items():
            left = np.ones(self.count)
            for axis in axes:
                left *= 1 - self.entries(axis) / len(axis.units)
            costs += self.sizes[place] * (1 - left)
        return costs

    def entries(self, axis: Axis) -> Units:
        """Return how many entries of an axis each unit has `(units,)`."""
        return np.bincount(axis.units[axis.units != FIXED], minlength=self.count)


def kept_entries(units: Units, keep: Keep) -> Units:
    """Return the indices of the entries along an axis that stay."""
    return np.flatnonzero(np.append(keep, True)[units])  # the last stands for FIXED
