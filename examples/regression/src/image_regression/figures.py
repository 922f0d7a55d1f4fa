"""The figures of answers to one set of images, each with a 95 % interval.

Intervals are percentile bootstrap intervals over images, or over patients where they are known.
Each function computes its figure in many resamples at once: `counts` `(draws, images)` says how
often each resample contains each image, and the result is `(draws,)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from image_regression.labels import Floats
from pupila.evaluation import Figure
from pupila.fidelity import bootstrap

_ROUNDING = 1e-12
"""Variances below this fraction of the mean squared values are treated as rounding errors."""
_LEAST_OF_RANKS = 1e-6
"""Smaller sums of squares of ranks are 0: ranks are multiples of one half."""


def figures_of(answers: Floats, truths: Floats, patients: ArrayLike | None) -> Iterator[Figure]:
    """Yield the figures of answers `(images,)` to images with the numbers `truths` `(images,)`."""
    errors = answers - truths
    for name, title, figure, lower_is_better in (
        ("mae", "mean absolute error", partial(mean_absolute_error, errors), True),
        ("rmse", "root mean squared error", partial(root_mean_squared_error, errors), True),
        ("r2", "R²", partial(r_squared, errors, truths), False),
        ("spearman", "Spearman's correlation", partial(spearman, answers, truths), False),
    ):
        yield Figure(
            name=name,
            title=title,
            unit="",
            estimate=bootstrap(figure, len(truths), patients),
            lower_is_better=lower_is_better,
        )


def mean_absolute_error(errors: Floats, counts: Floats) -> Floats:
    """Return the mean of |error| in each resample."""
    return counts @ np.abs(errors) / counts.sum(axis=1)


def root_mean_squared_error(errors: Floats, counts: Floats) -> Floats:
    """Return the root of the mean of error² in each resample."""
    return np.sqrt(counts @ errors**2 / counts.sum(axis=1))


def r_squared(errors: Floats, truths: Floats, counts: Floats) -> Floats:
    """Return R² = 1 - Σ error² / Σ (truth - mean truth)² in each resample.

    It is 1 for perfect answers, 0 for the mean of the truths, and negative for worse answers. Where
    all truths are the same, it is 0.
    """
    total = counts.sum(axis=1)
    centred = truths - truths.mean()  # keeps the squares exact
    variance = counts @ centred**2 / total - (counts @ centred / total) ** 2
    varied = variance > _ROUNDING * (centred**2).mean()
    unexplained = counts @ errors**2 / total / np.where(varied, variance, 1)
    return np.where(varied, 1 - unexplained, 0)


def spearman(ours: Floats, theirs: Floats, counts: Floats) -> Floats:
    """Return Spearman's rank correlation in each resample; 0 where either is constant."""
    total = counts.sum(axis=1, keepdims=True)
    first, second = _midranks(ours, counts), _midranks(theirs, counts)
    first = first - (counts * first).sum(axis=1, keepdims=True) / total
    second = second - (counts * second).sum(axis=1, keepdims=True) / total
    squares = (counts * first**2).sum(axis=1), (counts * second**2).sum(axis=1)
    varied = np.minimum(*squares) > _LEAST_OF_RANKS
    product = np.where(varied, squares[0] * squares[1], 1)
    correlation = (counts * first * second).sum(axis=1) / np.sqrt(product)
    return np.clip(np.where(varied, correlation, 0), -1, 1)


def _midranks(values: Floats, counts: Floats) -> Floats:
    """Return each image's rank in each resample, from 1, `(draws, images)`.

    Equal values share the mean of their ranks.
    """
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    starts = np.cumsum(sizes) - sizes
    ordered = counts[:, np.argsort(group, kind="stable")]
    of_group = cast("Floats", np.add.reduceat(ordered, starts, axis=1))
    return (of_group.cumsum(axis=1) - (of_group - 1) / 2)[:, group]
