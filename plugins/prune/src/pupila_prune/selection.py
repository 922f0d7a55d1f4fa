"""Which units are cut, given what each is worth."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from pupila_prune.channels import Channels, Keep
from pupila_prune.saliency import Scores


def floors(channels: Channels, min_fraction_kept: float) -> dict[str, int]:
    """Return how many filters each layer keeps at least: a part of those it has, and one."""
    return {
        axis.layer: max(1, int(np.ceil(min_fraction_kept * len(axis.units))))
        for axis in channels.filters
    }


def choose(channels: Channels, scores: Scores, target: float, floors: Mapping[str, int]) -> Keep:
    """Cut units of the lowest score until at most `target` parameters are left.

    A unit that would leave a layer with fewer filters than its floor is passed over; where that
    leaves nothing to cut, more parameters than the target stay.
    """
    order = _within(channels, np.argsort(scores, kind="stable").tolist(), floors)

    def without(count: int) -> Keep:
        keep = np.ones(channels.count, bool)
        keep[order[:count]] = False
        return keep

    def is_reached(count: int) -> bool:
        return channels.parameters(without(count)) <= target

    return without(bisect_left(range(len(order)), True, key=is_reached))


def _within(channels: Channels, order: list[int], floors: Mapping[str, int]) -> list[int]:
    """Return those units of an order that can be cut one after another within the floors."""
    room = {axis.layer: len(axis.units) - floors[axis.layer] for axis in channels.filters}
    made_by: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for axis in channels.filters:
        entries = channels.entries(axis)
        for unit in np.flatnonzero(entries).tolist():
            made_by[unit].append((axis.layer, int(entries[unit])))
    cut: list[int] = []
    for unit in order:
        if all(room[layer] >= entries for layer, entries in made_by[unit]):
            cut.append(unit)
            for layer, entries in made_by[unit]:
                room[layer] -= entries
    return cut
