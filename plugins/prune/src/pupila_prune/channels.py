"""Units of a model, and their positions in its weights.

A *unit* is a group of channels that can only be cut together. `pupila_prune.graph` finds the units
of a model.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Units = NDArray[np.int64]
"""For each entry along an axis of a weight, the number of its unit; `FIXED` if it is never cut."""
Keep = NDArray[np.bool_]
"""Mask `(units,)` of the units that are kept."""
Role = Literal["filters", "follows", "reads"]
"""Role of the entries along an axis: they make channels, alter channels, or read channels."""

FIXED = -1


@dataclass(frozen=True)
class Axis:
    """One axis of one weight, along which units are cut."""

    layer: str
    weight: str
    """Name of the variable within its layer: `kernel`, `gamma`, …"""
    number: int
    """Number of the axis in the weight's shape."""
    units: Units
    role: Role


@dataclass(frozen=True)
class Channels:
    """All units of a model, and their positions in its weights."""

    count: int
    """Number of units; they are numbered from 0."""
    axes: tuple[Axis, ...]
    untouched: tuple[str, ...]
    """Names of unsupported layers and operations. The channels that these read are never cut."""
    sizes: dict[tuple[str, str], int]
    """Number of entries of each weight, by the names of the layer and the weight.

    Weights of one name in one layer, as in attention, count together; they are never cut.
    """
    widths: dict[str, Units]
    """The units along the last axis of each layer's output, by layer name."""

    @property
    def filters(self) -> tuple[Axis, ...]:
        """The axes with the role `filters`, one for each layer that makes channels."""
        return tuple(axis for axis in self.axes if axis.role == "filters")

    def parameters(self, keep: Keep) -> int:
        """Return the number of parameters of the model if only the units in `keep` remain."""
        sizes = dict(self.sizes)
        for axis in self.axes:
            weight, kept = (axis.layer, axis.weight), len(kept_entries(axis.units, keep))
            sizes[weight] = sizes[weight] * kept // len(axis.units)
        return sum(sizes.values())

    def costs(self) -> NDArray[np.float64]:
        """Return, for each unit, how many parameters are removed if only that unit is cut.

        The result is `(units,)`.
        """
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
        """Return the number of entries of each unit along an axis, `(units,)`."""
        return np.bincount(axis.units[axis.units != FIXED], minlength=self.count)


def kept_entries(units: Units, keep: Keep) -> Units:
    """Return the indices, along an axis, of the entries that are kept."""
    return np.flatnonzero(np.append(keep, True)[units])  # index FIXED, -1, is the appended True
