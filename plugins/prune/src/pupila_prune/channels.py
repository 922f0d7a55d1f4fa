"""Groups of channels that can only be cut together, and where they are in a model's weights.

Such a group is a *unit*. `pupila_prune.graph` finds which channels are tied.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Units = NDArray[np.int64]
"""A unit's number for each entry along an axis; `FIXED` for entries that are never cut."""
Keep = NDArray[np.bool_]
"""Whether each unit is kept, `(units,)`."""
Role = Literal["filters", "follows", "reads"]
"""What the entries of an axis do with their channels: make them, alter them, or read them."""

FIXED = -1


@dataclass(frozen=True)
class Axis:
    """One axis of one weight, along which units are cut."""

    layer: str
    weight: str
    """Name of the variable within its layer: `kernel`, `gamma`, …"""
    number: int
    units: Units
    role: Role


@dataclass(frozen=True)
class Channels:
    """All units of a model, and their positions in its weights."""

    count: int
    """Number of units; they are numbered from 0."""
    axes: tuple[Axis, ...]
    untouched: tuple[str, ...]
    """Names of unsupported layers and operations: the channels they read are never cut."""
    sizes: dict[tuple[str, str], int]
    """Entries of each weight, by layer and name."""
    widths: dict[str, Units]
    """Units along the last axis of each layer's output, by the layer's name."""

    @property
    def filters(self) -> tuple[Axis, ...]:
        """The axes along which channels are made, one for each layer that makes channels."""
        return tuple(axis for axis in self.axes if axis.role == "filters")

    def parameters(self, keep: Keep) -> int:
        """Return the parameters of the model when only some units are kept."""
        sizes = dict(self.sizes)
        for axis in self.axes:
            weight, kept = (axis.layer, axis.weight), len(kept_entries(axis.units, keep))
            sizes[weight] = sizes[weight] * kept // len(axis.units)
        return sum(sizes.values())

    def costs(self) -> NDArray[np.float64]:
        """Return how many parameters are removed if each unit alone is cut `(units,)`."""
        costs = np.zeros(self.count)
        by_weight: dict[tuple[str, str], list[Axis]] = defaultdict(list)
        for axis in self.axes:
            by_weight[axis.layer, axis.weight].append(axis)
        for weight, axes in by_weight.items():
            remaining = np.ones(self.count)
            for axis in axes:
                remaining *= 1 - self.entries(axis) / len(axis.units)
            costs += self.sizes[weight] * (1 - remaining)
        return costs

    def entries(self, axis: Axis) -> Units:
        """Return how many entries of an axis each unit has `(units,)`."""
        return np.bincount(axis.units[axis.units != FIXED], minlength=self.count)


def kept_entries(units: Units, keep: Keep) -> Units:
    """Return the indices of the entries along an axis that are kept."""
    return np.flatnonzero(np.append(keep, True)[units])  # index FIXED, -1, is the appended True
