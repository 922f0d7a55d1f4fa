"""Rounds the weights of a layer one after the other, each compensating for those before it (GPTQ).

Frantar et al. 2023, "GPTQ: accurate post-training quantization for generative pre-trained
transformers" (ICLR), section 3.3. Rounding to nearest minimises the error of each weight, but not
that of the layer's output. With H = E[x xᵀ] of its inputs, after the weights of input q are
rounded, those of the remaining inputs F compensate for the error,

    δ_F = -(w_q - round(w_q)) / [H_F⁻¹]_qq · (H_F⁻¹)_:,q

which minimises the remaining mean squared error of the output. All H_F⁻¹ come from one Cholesky
factor of H⁻¹. The largest inputs come first (the "act-order" of the authors' code), and 1 % of its
mean is added to the diagonal of H, as there. A weight of zero stays zero and passes its share of
the error on: pruned layers stay sparse.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DAMPING = 0.01
_AT_ONCE = 64
"""Number of inputs after which the remaining weights are updated."""


def round_weights(
    weights: NDArray[np.float32],
    scales: NDArray[np.float64],
    moments: list[NDArray[np.float32]],
    largest: int,
) -> NDArray[np.int8]:
    """Return weights `(outputs, inputs)` as integers of at most `largest`, one scale a row.

    `moments` are the blocks on the diagonal of H, of consecutive inputs; H is zero elsewhere.
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
    """Return the upper triangular U with Uᵀ U = H⁻¹, H damped.

    Inputs that are always zero get a diagonal entry, so that H can be inverted.
    """
    damped = moments.astype(np.float64)
    diagonal = np.diag(damped).copy()
    diagonal[diagonal == 0] = diagonal.mean() or 1.0
    np.fill_diagonal(damped, diagonal + _DAMPING * diagonal.mean())
    return np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
