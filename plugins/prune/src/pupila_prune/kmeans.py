"""k-means of numbers on a line, fast for millions of them.

Lloyd's algorithm, as Han et al. 2016, "Deep compression" (arXiv 1510.00149), section 3.1 use it.
Clusters of sorted numbers are intervals, so an iteration takes k binary searches, and sums over an
interval are differences of running totals. Centroids start evenly spaced between the smallest and
the largest number: the paper's linear initialisation (section 3.2), the best of its three, as it
keeps the few large weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_MOST_ITERATIONS = 300
"""As many as scikit-learn allows."""


def centroids(values: NDArray[np.floating[Any]], clusters: int) -> Numbers:
    """Return at most `clusters` numbers that `values` gather around, in order.

    Fewer where the values differ less, or where a cluster ends empty.
    """
    ordered = np.sort(values.ravel()).astype(np.float64)
    totals = np.concatenate([[0.0], np.cumsum(ordered)])
    found = np.linspace(float(ordered[0]), float(ordered[-1]), clusters)
    bounds = _bounds(ordered, found)
    for _ in range(_MOST_ITERATIONS):
        sizes = np.diff(bounds)
        found = np.where(sizes > 0, np.diff(totals[bounds]) / np.maximum(sizes, 1), found)
        before, bounds = bounds, _bounds(ordered, found)
        if np.array_equal(before, bounds):
            break
    return np.unique(found[np.diff(bounds) > 0])


def nearest(values: NDArray[np.float32], among: Numbers) -> NDArray[np.float32]:
    """Replace each value by the nearest of some numbers in order."""
    return among[np.searchsorted(_middles(among), values)].astype(np.float32)


def _bounds(ordered: Numbers, found: Numbers) -> NDArray[np.int64]:
    """Return where each cluster begins among sorted numbers, and the end."""
    inner = np.searchsorted(ordered, _middles(found))
    return np.concatenate([[0], inner, [len(ordered)]])


def _middles(found: Numbers) -> Numbers:
    return (found[1:] + found[:-1]) / 2
