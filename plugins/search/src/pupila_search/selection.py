"""Ranks candidates by non-dominated sorting and crowding distance, and draws parents.

Deb, Pratap, Agarwal and Meyarivan 2002, "A fast and elitist multiobjective genetic algorithm:
NSGA-II", sections III A (fronts) and III B (crowding). All objectives are minimised.

`pupila_search.strategies` lets only young candidates breed (Real et al. 2019, "Regularized
evolution for image classifier architecture search"): on a hundred validation images some candidates
are best by luck, and luck is not inherited.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def fronts(objectives: ArrayLike) -> list[list[int]]:
    """Sort candidates into fronts; return the indices of the candidates in each front.

    `objectives` are `(candidates, objectives)`. The first front has the candidates that no other
    candidate dominates. Each further front has the candidates that only candidates of earlier
    fronts dominate.
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

    `objectives` are `(candidates, objectives)`. The crowding distance is the distance between the
    two neighbours of a candidate in an objective, as a fraction of the objective's range, summed
    over objectives. The first and the last candidate in an objective have an infinite distance. An
    infinite objective means "not measured", and counts as the largest finite value of that
    objective.
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
"""Number of the front, and the negated crowding distance. A smaller tuple is fitter."""


def fitness(objectives: ArrayLike) -> list[Fitness]:
    """Return the fitness of each candidate, from its front and its crowding distance.

    `objectives` are `(candidates, objectives)`.
    """
    values = np.asarray(objectives, np.float64)
    values_of: dict[int, Fitness] = {}
    for number, front in enumerate(fronts(values)):
        apart = crowding(values[front])
        values_of |= {
            candidate: (number, -float(far)) for candidate, far in zip(front, apart, strict=True)
        }
    return [values_of[candidate] for candidate in range(len(values))]


def rank(objectives: ArrayLike) -> list[int]:
    """Return the indices of the candidates with these objectives, the fittest first."""
    values = fitness(objectives)
    return sorted(range(len(values)), key=values.__getitem__)


def tournament(order: Sequence[int], random: np.random.Generator) -> int:
    """Draw two candidates at random, and return the one that comes first in `order`.

    `order` has the indices of the candidates, the fittest first.
    """
    return order[int(random.integers(0, len(order), 2).min())]
