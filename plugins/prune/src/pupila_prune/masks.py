"""Chooses which weights to keep by their scores, and the sparsity after each round.

The schedule is equation 1 of Zhu and Gupta 2017, "To prune, or not to prune" (arXiv 1710.01878),
with a round as the paper's pruning step. With the initial sparsity s_i and the final sparsity s_f,
the sparsity after round r of R is

    s_r = s_f + (s_i - s_f) · (1 - r/R)³

Thus many weights are cut in the first rounds, and few in the last rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila_prune.kernels import Kernel

Scores = Sequence[NDArray[np.floating[Any]]]
"""Scores of all weights: an array per kernel, of the kernel's shape. The lowest are cut first."""
Masks = list[NDArray[np.bool_]]
"""Masks of the weights that are kept: an array per kernel, of the kernel's shape."""

_GROUP, _KEPT = 4, 2


def sparsity_after(initial: float, final: float, number: int, rounds: int) -> float:
    """Return the sparsity after round `number`, counted from 1, by the formula of this module."""
    return final + (initial - final) * (1 - number / rounds) ** 3


def masks_per_layer(scores: Scores, sparsity: float) -> Masks:
    """Return masks that cut the fraction `sparsity` of each kernel: the weights of lowest score.

    At least one weight of each kernel is kept.
    """
    return [
        _without_lowest(score, min(round(sparsity * score.size), score.size - 1))
        for score in scores
    ]


def masks_across_layers(scores: Scores, sparsity: float) -> Masks:
    """Return masks that cut the fraction `sparsity` of all weights: those of lowest score.

    Scores are compared across kernels, so some kernels lose more weights than others.
    """
    joined = np.concatenate([score.ravel() for score in scores])
    kept = _without_lowest(joined, min(round(sparsity * joined.size), joined.size - 1))
    ends = np.cumsum([score.size for score in scores])[:-1]
    masks = np.split(kept, ends)
    return [mask.reshape(score.shape) for mask, score in zip(masks, scores, strict=True)]


def has_groups(kernel: Kernel) -> bool:
    """Return whether a kernel can have the pattern 2:4, in which two of every four weights are 0.

    The number of weights per output must be a multiple of four. Depthwise kernels cannot have the
    pattern: it is for matrix products, and depthwise kernels have only nine weights per output.
    """
    if kernel.is_depthwise:
        return False
    shape = kernel.variable.shape
    return (prod(shape) // shape[kernel.output_axis]) % _GROUP == 0


def two_of_four(kernel: Kernel, scores: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Return a mask that keeps the two best of every four successive weights of an output.

    `scores` and the mask have the kernel's shape. As in Mishra et al. 2021, "Accelerating sparse
    deep neural networks" (arXiv 2104.08378), section 3, successive weights run along (height,
    width, input channels), the last axis fastest.
    """
    moved = np.moveaxis(scores, kernel.output_axis, 0)
    groups = moved.reshape(moved.shape[0], -1, _GROUP)
    ranks = np.argsort(np.argsort(-groups, axis=-1, kind="stable"), axis=-1)
    return np.moveaxis((ranks < _KEPT).reshape(moved.shape), 0, kernel.output_axis)


def _without_lowest(scores: NDArray[np.floating[Any]], count: int) -> NDArray[np.bool_]:
    """Return a mask that keeps all but the `count` lowest scores."""
    keep = np.ones(scores.size, bool)
    keep[np.argpartition(scores.ravel(), count)[:count]] = False
    return keep.reshape(scores.shape)
