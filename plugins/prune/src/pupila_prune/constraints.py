"""Keeps weights 0, or alike, while a model is trained.

Keras' optimizers apply the constraint of each variable after every step: what a step did to a cut
weight is undone, and weights of one cluster move by the mean of their steps. The constraints are
set on the variables, not on the layers, whose configuration is saved; so no file tells of them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.keras_files import import_keras
from pupila_prune.kernels import Kernel, clustered_kernels, kernels_of

keras = import_keras()
ops = keras.ops


class Masked(keras.constraints.Constraint):
    """Sets to 0 what is not kept: a projection onto the weights that are left."""

    def __init__(self, keep: NDArray[np.bool_]) -> None:
        self._keep = ops.convert_to_tensor(keep)

    def __call__(self, w: Any) -> Any:
        return ops.where(self._keep, w, ops.zeros_like(w))


class Clustered(keras.constraints.Constraint):
    """Sets the weights of a cluster to their mean: a projection onto those that are alike.

    So a step of descent is one on the cluster's centroid. Han et al. 2016, "Deep compression"
    (arXiv 1510.00149), section 3.3, add up the gradients of a cluster's weights, which is n times
    the step that plain descent takes here for a cluster of n; AdamW takes its step for each weight.
    A cluster of zeros stays 0.
    """

    def __init__(self, values: NDArray[np.float32]) -> None:
        centroids, labels = np.unique(values, return_inverse=True)
        self._labels = ops.convert_to_tensor(labels.ravel().astype(np.int32))
        self._sizes = ops.convert_to_tensor(np.bincount(labels.ravel()).astype(np.float32))
        self._is_free = ops.convert_to_tensor((centroids != 0).astype(np.float32))

    def __call__(self, w: Any) -> Any:
        sums = ops.segment_sum(ops.reshape(w, (-1,)), self._labels, self._sizes.shape[0])
        means = sums / self._sizes * self._is_free
        return ops.reshape(ops.take(means, self._labels), w.shape)


@contextmanager
def zeros_held(model: Any) -> Generator[None]:
    """Keep every 0 in a kernel 0."""
    with _constrained((kernel, Masked(kernel.values != 0)) for kernel in kernels_of(model)):
        yield


@contextmanager
def clusters_held(model: Any) -> Generator[None]:
    """Keep the entries of each clustered kernel alike that are, and every 0 in a kernel a 0."""
    clustered = ((kernel, Clustered(kernel.values)) for kernel in clustered_kernels(model))
    with zeros_held(model), _constrained(clustered):
        yield


@contextmanager
def _constrained(constraints: Iterable[tuple[Kernel, Any]]) -> Generator[None]:
    before: list[tuple[Any, Any]] = []
    try:
        for kernel, constraint in constraints:
            before.append((kernel.variable, kernel.variable.constraint))
            kernel.variable.constraint = constraint
        yield
    finally:
        for variable, constraint in before:
            variable.constraint = constraint
