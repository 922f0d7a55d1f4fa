"""Which weights are kept, given what each is worth, and how many by round.

The schedule is that of Zhu and Gupta 2017, "To prune, or not to prune" (arXiv 1710.01878),
equation 1, whose step is one round here: with the sparsity s_i of the model that is given and s_f
in the end, after round r of R

    s_r = s_f + (s_i - s_f) · (1 - r/R)³

Many weights go while there are many to spare, few at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila_prune.kernels import Kernel

Scores = Sequence[NDArray[np.floating[Any]]]
"""What each weight is worth, not negative, in the shape of each kernel: the lowest go first."""
Masks = list[NDArray[np.bool_]]
"""Of each kernel, in its shape: which weights are kept."""

_GROUP, _KEPT = 4, 2


def scheduled(initial: float, final: float, number: int, rounds: int) -> float:
    """Return the sparsity after round `number` of `rounds`, from 1; see the head of this module."""
    return final + (initial - final) * (1 - number / rounds) ** 3


def within_layers(scores: Scores, sparsity: float) -> Masks:
    """Cut the same part of each kernel, though never all of it."""
    return [
        _without_lowest(each, min(round(sparsity * each.size), each.size - 1)) for each in scores
    ]


def among_all(scores: Scores, sparsity: float) -> Masks:
    """Cut what is worth least, whatever kernel it is in."""
    joined = np.concatenate([each.ravel() for each in scores])
    kept = _without_lowest(joined, min(round(sparsity * joined.size), joined.size - 1))
    ends = np.cumsum([each.size for each in scores])[:-1]
    parts = np.split(kept, ends)
    return [part.reshape(each.shape) for part, each in zip(parts, scores, strict=True)]


def has_groups(kernel: Kernel) -> bool:
    """Tell whether a kernel can follow the pattern 2:4.

    What one output reads must come in fours. A depthwise convolution is no product of matrices, for
    which the pattern was made, and has nine entries for each output: it stays dense.
    """
    if kernel.is_depthwise:
        return False
    shape = kernel.variable.shape
    return (prod(shape) // shape[kernel.output_axis]) % _GROUP == 0


def two_of_four(kernel: Kernel, scores: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Keep the two best of every four weights in a row that one output reads.

    Mishra et al. 2021, "Accelerating sparse deep neural networks" (arXiv 2104.08378), section 3:
    rows run along (height, width, input channels), the last fastest.
    """
    moved = np.moveaxis(scores, kernel.output_axis, 0)
    groups = moved.reshape(moved.shape[0], -1, _GROUP)
    ranks = np.argsort(np.argsort(-groups, axis=-1, kind="stable"), axis=-1)
    return np.moveaxis((ranks < _KEPT).reshape(moved.shape), 0, kernel.output_axis)


def _without_lowest(scores: NDArray[np.floating[Any]], count: int) -> NDArray[np.bool_]:
    """Keep all but the `count` lowest scores."""
    keep = np.ones(scores.size, bool)
    keep[np.argpartition(scores.ravel(), count)[:count]] = False
    return keep.reshape(scores.shape)
