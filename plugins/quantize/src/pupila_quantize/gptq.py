"""Rounds the weights of a layer one after the other, each making up for those before it.

Frantar et al. 2023, "GPTQ: accurate post-training quantization for generative pre-trained
transformers" (ICLR), section 3.3. Rounded to nearest, every weight is as near as it can be, but the
layer's output is not. With H = E[x xᵀ] of its inputs, when input q has been rounded, the inputs F
that have not been yet take up its error,

    δ_F = -(w_q - round(w_q)) / [H_F⁻¹]_qq · (H_F⁻¹)_:,q

which is what makes the output, in mean square, as little wrong as is possible still. All H_F⁻¹ are
in one Cholesky factor of H⁻¹. Inputs are taken in the order of their size, the largest first (the
"act-order" of the authors' code); the diagonal of H gets a hundredth of its mean more, as there.
A weight of zero stays zero, and hands on what it was to take up: pruned layers stay sparse.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DAMPING = 0.01
_AT_ONCE = 64
"""Inputs after which the rest of the weights is brought up to date."""


def rounded(
    weights: NDArray[np.float32],
    scales: NDArray[np.float64],
    moments: list[NDArray[np.float32]],
    largest: int,
) -> NDArray[np.int8]:
    """Return weights `(outputs, inputs)` as integers of -`largest`..`largest`, one scale each row.

    `moments` are those of consecutive inputs; moments between inputs of two of them are zero.
    """
    made = np.empty(weights.shape, np.int8)
    start = 0
    for each in moments:
        part = slice(start, start + len(each))
        made[:, part] = _rounded(weights[:, part], scales.astype(np.float32), each, largest)
        start = part.stop
    return made


def _rounded(
    weights: NDArray[np.float32],
    scales: NDArray[np.float32],
    moments: NDArray[np.float32],
    largest: int,
) -> NDArray[np.int8]:
    order = np.argsort(-np.diag(moments), kind="stable")
    factor = _factor(moments[np.ix_(order, order)])
    left = np.ascontiguousarray((weights / scales[:, np.newaxis])[:, order].T)  # (inputs, outputs)
    is_given = left != 0
    for start in range(0, len(left), _AT_ONCE):
        stop = min(start + _AT_ONCE, len(left))
        errors = np.empty((stop - start, left.shape[1]), np.float32)
        for number in range(start, stop):
            exact = left[number].copy()
            left[number] = np.clip(np.rint(exact), -largest, largest) * is_given[number]
            error = (exact - left[number]) / factor[number, number]
            left[number + 1 : stop] -= factor[number, number + 1 : stop, np.newaxis] * error
            errors[number - start] = error
        left[stop:] -= factor[start:stop, stop:].T @ errors
    made = np.empty(weights.shape, np.int8)
    made[:, order] = left.T
    return made


def _factor(moments: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the upper U with Uᵀ U = H⁻¹, H damped; inputs that are always zero change nothing."""
    damped = moments.astype(np.float64)
    diagonal = np.diag(damped).copy()
    diagonal[diagonal == 0] = diagonal.mean() or 1.0
    np.fill_diagonal(damped, diagonal + _DAMPING * diagonal.mean())
    return np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)
