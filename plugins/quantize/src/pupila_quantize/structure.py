"""Keeps kernels as sparse, or as clustered, in training for int8 as they came to it.

Zeros stay zeros, and weights that had one value share one still: after each step they take their
mean, so that they move as one. Symmetric int8 keeps both: zero is stored as 0, and equal weights of
a channel as equal numbers. tfmot does the same for what its own pipeline has pruned and clustered
("PQAT", "CQAT"); here it is seen in the weights, whoever made them so.
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
"""Fraction of a kernel from which on its zeros mean something."""

_MOST_VALUES = 256
_FEWEST_MEMBERS = 4
"""Of a shared value, on average: from here on a kernel is clustered."""

_TRIED = 4096
"""Weights that are looked at first: most kernels need not be sorted as a whole."""

_Numbers = NDArray[np.int64]


class Kept(tf_keras.constraints.Constraint):
    """Puts a kernel back into the form that it had, after each step of the training."""

    def __init__(
        self, zeros: NDArray[np.bool_] | None, members: _Numbers | None, values: int
    ) -> None:
        """Keep `zeros`, and one value for all with the same number in `members`.

        Both are of the kernel's shape. `values` is the most that any channel has, or the kernel.
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


def kept(kernel: NDArray[np.float32], shared: tuple[int, ...]) -> Kept | None:
    """Return what keeps a kernel sparse or clustered; None where it is neither.

    It is clustered where the whole kernel has few values, or each output channel has: folding of
    batch normalisation gives every channel a scale of its own. The axes `shared` are those within
    an output channel.
    """
    zeros = kernel == 0
    zeros = zeros if zeros.mean() >= _FEWEST_ZEROS else None
    members, values = _members(kernel, shared)
    return None if zeros is None and members is None else Kept(zeros, members, values)


def told(model: Any) -> dict[str, Any]:
    """Return the `sparsity` that was kept, a fraction of all weights in kernels, and `clusters`.

    `clusters` has the number of shared values by layer: of the whole kernel, or the most that an
    output channel has.
    """
    wrappers = [each for each in model.layers if getattr(each, "_weight_vars", None)]
    kernels = {each.layer.name: each._weight_vars[0][0] for each in wrappers}
    held = {name: each.constraint for name, each in kernels.items() if _is_kept(each)}
    zeros = sum(int(each.zeros.sum()) for each in held.values() if each.zeros is not None)
    total = sum(prod(each.shape) for each in kernels.values())
    return {
        "sparsity": zeros / total if total else 0.0,
        "clusters": {name: each.values for name, each in held.items() if each.values},
    }


def _is_kept(variable: Any) -> bool:
    return isinstance(variable.constraint, Kept)


def _members(kernel: NDArray[np.float32], shared: tuple[int, ...]) -> tuple[_Numbers | None, int]:
    """Return the number of each weight's value, in the kernel's shape, and how many there are."""
    whole = _numbered(kernel.reshape(1, -1))
    if whole is not None:
        return whole[0].reshape(kernel.shape), whole[1]
    outputs = tuple(axis for axis in range(kernel.ndim) if axis not in shared)
    turned = np.transpose(kernel, (*outputs, *shared))
    count = prod(turned.shape[: len(outputs)])
    by_channel = _numbered(turned.reshape(count, -1))
    if by_channel is None:
        return None, 0
    back = np.argsort((*outputs, *shared))
    return np.transpose(by_channel[0].reshape(turned.shape), back), by_channel[1]


def _numbered(rows: NDArray[np.float32]) -> tuple[_Numbers, int] | None:
    """Number the values of each row, no two rows alike; None where a row has too many.

    Zeros do not count: a sparse kernel has few other values, and is not clustered for that.
    """
    numbers, most, start = np.empty(rows.shape, np.int64), 0, 0
    row: NDArray[np.float32]
    for row, place in zip(rows, numbers, strict=True):
        if len(np.unique(row[:_TRIED])) > _MOST_VALUES:
            return None
        values = np.unique(row)
        few = np.count_nonzero(row) // _FEWEST_MEMBERS
        if np.count_nonzero(values) > min(_MOST_VALUES, few):
            return None
        place[...] = np.searchsorted(values, row) + start
        start, most = start + len(values), max(most, len(values))
    return numbers, most
