"""Rounds a layer's weights in turn; the weights still unrounded compensate for each error (GPTQ).

Frantar et al. 2023, "GPTQ: accurate post-training quantization for generative pre-trained
transformers" (ICLR), section 3.3. Rounding to nearest minimises the error of each weight, but not
the error of the layer's output. Let H = E[x xᵀ] over the layer's inputs x. After the weights of
input q are rounded, the weights of the remaining inputs F are changed to compensate for the error,

    δ_F = -(w_q - round(w_q)) / [H_F⁻¹]_qq · (H_F⁻¹)_:,q

which minimises the remaining mean squared error of the output. All H_F⁻¹ come from one Cholesky
factor of H⁻¹. As in the authors' code, the largest inputs come first ("act-order"), and 1 % of the
diagonal's mean is added to the diagonal of H. A weight of zero stays zero and passes its share of
the error on to the next inputs, so pruned layers stay sparse.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DAMPING = 0.01
"""Fraction of the diagonal's mean that is added to the diagonal of H."""
_AT_ONCE = 64
"""Number of inputs that are rounded before the weights of all later inputs are updated."""


def round_weights(
    weights: NDArray[np.float32],
    scales: NDArray[np.float64],
    moments: list[NDArray[np.float32]],
    largest: int,
) -> NDArray[np.int8]:
    """Round weights `(outputs, inputs)` to integers in -`largest`..`largest`, by GPTQ.

    `scales` `(outputs,)` has one scale for each output. `moments` are the diagonal blocks of H,
    each `(inputs, inputs)` for consecutive inputs; outside the blocks, H counts as zero.
    """
    rounded = np.empty(weights.shape, np.int8)
    start = 0
    for block in moments:
        columns = slice(start, start + len(block))
        rounded[:, columns] = _round_group(
            weights[:, columns], scales.astype(np.float32), block, largest
        )
        start = columns.stop
    return rounded


def _round_group(
    weights: NDArray[np.float32],
    scales: NDArray[np.float32],
    moments: NDArray[np.float32],
    largest: int,
) -> NDArray[np.int8]:
    order = np.argsort(-np.diag(moments), kind="stable")
    factor = _factor(moments[np.ix_(order, order)])
    current = np.ascontiguousarray((weights / scales[:, np.newaxis])[:, order].T)
    is_nonzero = current != 0  # (inputs, outputs)
    for start in range(0, len(current), _AT_ONCE):
        stop = min(start + _AT_ONCE, len(current))
        errors = np.empty((stop - start, current.shape[1]), np.float32)
        for number in range(start, stop):
            exact = current[number].copy()
            current[number] = np.clip(np.rint(exact), -largest, largest) * is_nonzero[number]
            error = (exact - current[number]) / factor[number, number]
            current[number + 1 : stop] -= factor[number, number + 1 : stop, np.newaxis] * error
            errors[number - start] = error
        current[stop:] -= factor[start:stop, stop:].T @ errors
    rounded = np.empty(weights.shape, np.int8)
    rounded[:, order] = current.T
    return rounded


def _factor(moments: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the upper triangular U with Uᵀ U = H⁻¹, after damping H.

    For inputs that are always zero, a diagonal entry is filled in, so that H can be inverted.
    """
    damped = moments.astype(np.float64)
    diagonal = np.diag(damped).copy()
    diagonal[diagonal == 0] = diagonal.mean() or 1.0
    np.fill_diagonal(damped, diagonal + _DAMPING * diagonal.mean())
    return np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
