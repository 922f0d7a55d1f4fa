"""Preserves the sparsity and the clusters of kernels during training for int8.

After each training step, zeros of a sparse kernel are set back to zero, and equal weights of a
clustered kernel are set to their mean, so that they stay equal. Symmetric int8 preserves zeros and
equal weights: zero is stored as 0, and equal weights of a channel are stored as equal numbers.

TensorFlow Model Optimization does the same, but only for kernels that its own pipeline pruned or
clustered ("PQAT", "CQAT"). Here sparsity and clusters are detected from the weights, so any pruned
or clustered model works.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.keras_files import import_tensorflow
from pupila_quantize.lowering import tf_keras

tf = import_tensorflow()

_FEWEST_ZEROS = 0.1
"""Smallest fraction of zeros with which a kernel counts as sparse."""

_MOST_VALUES = 256
_FEWEST_MEMBERS = 4
"""Smallest mean number of weights per value with which a kernel counts as clustered."""

_TRIED = 4096
"""Number of weights that are checked first, to avoid sorting all weights of most kernels."""

_Numbers = NDArray[np.int64]


class StructureConstraint(tf_keras.constraints.Constraint):
    """Restores the zeros and the shared values of a kernel after each training step."""

    def __init__(
        self, zeros: NDArray[np.bool_] | None, members: _Numbers | None, values: int
    ) -> None:
        """Keep weights at zero where `zeros` is true, and equal where `members` is equal.

        Both arrays have the kernel's shape. `values` is the number of different values in the
        kernel; if they are counted per output channel, in the channel that has the most.
        """
        self.zeros = zeros
        self.values = values
        self._members = members

    def __call__(self, w: Any) -> Any:
        if self._members is not None:
            count = int(self._members.max()) + 1
            means = tf.math.unsorted_segment_mean(w, self._members, count)
            w = tf.gather(means, self._members)
        return w if self.zeros is None else tf.where(self.zeros, 0.0, w)


def structure_constraint(
    kernel: NDArray[np.float32], shared: tuple[int, ...]
) -> StructureConstraint | None:
    """Return a constraint that keeps a kernel sparse or clustered; None if it is neither.

    A kernel is clustered if it has few different values, either in all channels together or in each
    output channel. A clustered kernel into which batch normalisation was folded has few values only
    in each channel, as the channels are scaled differently. `shared` are the kernel's axes except
    the axis of output channels.
    """
    zeros = kernel == 0
    zeros = zeros if zeros.mean() >= _FEWEST_ZEROS else None
    members, values = _members(kernel, shared)
    return (
        None if zeros is None and members is None else StructureConstraint(zeros, members, values)
    )


def measure_structure(model: Any) -> dict[str, Any]:
    """Return what training preserves: `sparsity`, and `clusters` by layer.

    `sparsity` is the fraction of all kernel weights that are kept at zero. `clusters` maps the name
    of each clustered layer to the number of different values in the layer's kernel. If a kernel is
    clustered only in each output channel, values are counted in the channel that has the most.
    """
    wrappers = [layer for layer in model.layers if getattr(layer, "_weight_vars", None)]
    kernels = {wrapper.layer.name: wrapper._weight_vars[0][0] for wrapper in wrappers}
    constraints = {
        name: kernel.constraint for name, kernel in kernels.items() if _is_constrained(kernel)
    }
    masks = [constraint.zeros for constraint in constraints.values()]
    zeros = sum(int(mask.sum()) for mask in masks if mask is not None)
    total = sum(prod(kernel.shape) for kernel in kernels.values())
    return {
        "sparsity": zeros / total if total else 0.0,
        "clusters": {
            name: constraint.values for name, constraint in constraints.items() if constraint.values
        },
    }


def _is_constrained(variable: Any) -> bool:
    return isinstance(variable.constraint, StructureConstraint)


def _members(kernel: NDArray[np.float32], shared: tuple[int, ...]) -> tuple[_Numbers | None, int]:
    """Number a kernel's different values; return each weight's number, and the count of values."""
    whole = _number_values(kernel.reshape(1, -1))
    if whole is not None:
        return whole[0].reshape(kernel.shape), whole[1]
    outputs = tuple(axis for axis in range(kernel.ndim) if axis not in shared)
    turned = np.transpose(kernel, (*outputs, *shared))
    count = prod(turned.shape[: len(outputs)])
    by_channel = _number_values(turned.reshape(count, -1))
    if by_channel is None:
        return None, 0
    back = np.argsort((*outputs, *shared))
    return np.transpose(by_channel[0].reshape(turned.shape), back), by_channel[1]


def _number_values(rows: NDArray[np.float32]) -> tuple[_Numbers, int] | None:
    """Number the different values of each row separately; None if a row has too many.

    Zeros do not count, so that a sparse kernel does not count as clustered.
    """
    numbers, most, start = np.empty(rows.shape, np.int64), 0, 0
    row: NDArray[np.float32]
    for row, row_numbers in zip(rows, numbers, strict=True):
        if len(np.unique(row[:_TRIED])) > _MOST_VALUES:
            return None
        values = np.unique(row)
        few = np.count_nonzero(row) // _FEWEST_MEMBERS
        if np.count_nonzero(values) > min(_MOST_VALUES, few):
            return None
        row_numbers[...] = np.searchsorted(values, row) + start
        start, most = start + len(values), max(most, len(values))
    return numbers, most
