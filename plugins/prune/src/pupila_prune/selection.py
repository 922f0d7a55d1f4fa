"""Chooses which units are cut, by their scores."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from pupila_prune.channels import Channels, Keep
from pupila_prune.saliency import Scores


def min_filters(channels: Channels, min_fraction_kept: float) -> dict[str, int]:
    """Return how many filters each layer must keep: a fraction of its filters, and at least one."""
    return {
        axis.layer: max(1, int(np.ceil(min_fraction_kept * len(axis.units))))
        for axis in channels.filters
    }


def choose(
    channels: Channels, scores: Scores, target: float, min_filters: Mapping[str, int]
) -> Keep:
    """Return which units to keep: the lowest scores are cut until `target` parameters remain.

    A unit is not cut if a layer would then have fewer filters than `min_filters` says. So more than
    `target` parameters may remain.
    """
    order = _within(channels, np.argsort(scores, kind="stable").tolist(), min_filters)

    def without(count: int) -> Keep:
        keep = np.ones(channels.count, bool)
        keep[order[:count]] = False
        return keep

    def is_reached(count: int) -> bool:
        return channels.parameters(without(count)) <= target

    return without(bisect_left(range(len(order)), True, key=is_reached))


def _within(channels: Channels, order: list[int], min_filters: Mapping[str, int]) -> list[int]:
    """Return the units of `order` that can be cut while each layer keeps enough filters.

    Units earlier in `order` go first.
    """
    room = {axis.layer: len(axis.units) - min_filters[axis.layer] for axis in channels.filters}
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
