"""k-means clustering in one dimension, fast for millions of numbers.

Lloyd's algorithm, as in Han et al. 2016, "Deep compression" (arXiv 1510.00149), section 3.1.
Clusters of sorted numbers are intervals, so an iteration takes k binary searches, and sums over an
interval are differences of cumulative sums. Centroids start evenly spaced between the smallest and
the largest number. This is the linear initialisation of section 3.2, the best of the three in the
paper, as it preserves the few large weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_MAX_ITERATIONS = 300
"""Largest number of iterations, the default of scikit-learn."""


def centroids(values: NDArray[np.floating[Any]], clusters: int) -> Numbers:
    """Return the centroids of at most `clusters` clusters of `values`, in ascending order.

    There are fewer centroids if `values` has fewer different numbers, or if a cluster ends empty.
    """
    ordered = np.sort(values.ravel()).astype(np.float64)
    totals = np.concatenate([[0.0], np.cumsum(ordered)])
    means = np.linspace(float(ordered[0]), float(ordered[-1]), clusters)
    bounds = _bounds(ordered, means)
    for _ in range(_MAX_ITERATIONS):
        sizes = np.diff(bounds)
        means = np.where(sizes > 0, np.diff(totals[bounds]) / np.maximum(sizes, 1), means)
        before, bounds = bounds, _bounds(ordered, means)
        if np.array_equal(before, bounds):
            break
    return np.unique(means[np.diff(bounds) > 0])


def nearest(values: NDArray[np.float32], centroids: Numbers) -> NDArray[np.float32]:
    """Return the centroid nearest to each value; `centroids` must be in ascending order."""
    return centroids[np.searchsorted(_midpoints(centroids), values)].astype(np.float32)


def _bounds(ordered: Numbers, means: Numbers) -> NDArray[np.int64]:
    """Return the index in `ordered` at which each cluster begins, and the length of `ordered`."""
    inner = np.searchsorted(ordered, _midpoints(means))
    return np.concatenate([[0], inner, [len(ordered)]])


def _midpoints(means: Numbers) -> Numbers:
    return (means[1:] + means[:-1]) / 2
