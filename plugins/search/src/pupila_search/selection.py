"""Ranks candidates by non-dominated sorting and crowding distance, and draws parents.

Deb, Pratap, Agarwal and Meyarivan 2002, "A fast and elitist multiobjective genetic algorithm:
NSGA-II", sections III A (fronts) and III B (crowding). All objectives are minimised. Only young
candidates breed (Real et al. 2019, "Regularized evolution for image classifier architecture
search"): on a hundred validation images some are best by luck, and luck is not inherited.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def fronts(objectives: ArrayLike) -> list[list[int]]:
    """Sort the rows of `(candidates, objectives)` into fronts, and return their indices.

    The first front has the candidates that no other dominates. Each further front has those that
    only candidates of earlier fronts dominate.
    """
    values = np.asarray(objectives, np.float64)
    dominates = (values[:, np.newaxis] <= values).all(-1) & (values[:, np.newaxis] < values).any(-1)
    left, sorted_fronts = np.ones(len(values), bool), list[list[int]]()
    while left.any():
        beaten = dominates[left].any(axis=0)
        front = np.flatnonzero(left & ~beaten)
        sorted_fronts.append(front.tolist())
        left[front] = False
    return sorted_fronts


def crowding(objectives: ArrayLike) -> NDArray[np.float64]:
    """Return the crowding distance of each candidate of one front, `(candidates,)`.

    This is the distance between its neighbours, infinite at the extremes of an objective. An
    infinite objective means "not measured", and counts as the worst finite one.
    """
    values = np.asarray(objectives, np.float64)
    distances = np.zeros(len(values))
    for measured in values.T:
        column = np.minimum(measured, measured[np.isfinite(measured)].max(initial=0.0))
        order = np.argsort(column, kind="stable")
        width = column[order[-1]] - column[order[0]]
        distances[order[[0, -1]]] = np.inf
        if width > 0:
            distances[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / width
    return distances


Fitness = tuple[int, float]
"""Number of the front, and the negated crowding distance: the smaller, the fitter."""


def fitness(objectives: ArrayLike) -> list[Fitness]:
    """Return the fitness of each candidate: its front, then its crowding distance."""
    values = np.asarray(objectives, np.float64)
    values_of: dict[int, Fitness] = {}
    for number, front in enumerate(fronts(values)):
        apart = crowding(values[front])
        values_of |= {
            candidate: (number, -float(far)) for candidate, far in zip(front, apart, strict=True)
        }
    return [values_of[candidate] for candidate in range(len(values))]


def rank(objectives: ArrayLike) -> list[int]:
    """Return the indices of the candidates, the fittest first."""
    values = fitness(objectives)
    return sorted(range(len(values)), key=values.__getitem__)


def tournament(order: Sequence[int], random: np.random.Generator) -> int:
    """Draw two candidates at random and return the fitter one: the earlier in `order`."""
    return order[int(random.integers(0, len(order), 2).min())]
