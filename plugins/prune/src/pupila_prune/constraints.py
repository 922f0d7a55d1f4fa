"""Keeps weights at 0, or equal within a cluster, while a model is trained.

Keras' optimizers apply the constraint of each variable after every training step. The constraints
here set cut weights back to 0, or let the weights of one cluster move together, by the mean of
their steps. The constraints are set on the variables, not on the layers, so they are not saved with
the model.
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


class MaskConstraint(keras.constraints.Constraint):
    """Sets all weights to 0 where the mask `keep` is false."""

    def __init__(self, keep: NDArray[np.bool_]) -> None:
        self._keep = ops.convert_to_tensor(keep)

    def __call__(self, w: Any) -> Any:
        return ops.where(self._keep, w, ops.zeros_like(w))


class ClusterConstraint(keras.constraints.Constraint):
    """Sets the weights of a cluster to their mean, so that the optimizer moves the centroid.

    A cluster of zeros stays 0. Han et al. 2016, "Deep compression" (arXiv 1510.00149), section 3.3,
    sum the gradients of a cluster's weights instead. For a cluster of n weights, plain gradient
    descent would then take a step n times as large as here.
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
def keep_zeros(model: Any) -> Generator[None]:
    """Keep every zero in a kernel of the model at 0 during the `with` block."""
    with _constrain((kernel, MaskConstraint(kernel.values != 0)) for kernel in kernels_of(model)):
        yield


@contextmanager
def keep_clusters(model: Any) -> Generator[None]:
    """Keep equal weights of a clustered kernel equal, and zeros at 0, during the `with` block."""
    clustered = ((kernel, ClusterConstraint(kernel.values)) for kernel in clustered_kernels(model))
    with keep_zeros(model), _constrain(clustered):
        yield


@contextmanager
def _constrain(constraints: Iterable[tuple[Kernel, Any]]) -> Generator[None]:
    before: list[tuple[Any, Any]] = []
    try:
        for kernel, constraint in constraints:
            before.append((kernel.variable, kernel.variable.constraint))
            kernel.variable.constraint = constraint
        yield
    finally:
        for variable, constraint in before:
            variable.constraint = constraint
