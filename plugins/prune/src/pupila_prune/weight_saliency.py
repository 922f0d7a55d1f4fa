"""Scores single weights by how much they matter to the model.

**magnitude.** Han et al. 2015 (arXiv 1506.02626): the score is |w|.

**obd.** LeCun, Denker and Solla 1990, "Optimal brain damage". The score of the weight w_k is how
much the loss would grow if the weight became 0, to second order, without off-diagonal terms, and at
a minimum of the loss:

    s_k = h_kk · w_k² / 2

As in the paper, h is the diagonal not of the full Hessian but of its Gauss-Newton form Jᵀ H J (the
paper says Levenberg-Marquardt), with the Jacobian J of the logits and the Hessian H of the
cross-entropy with respect to the logits. This h is never negative. The paper propagates h layer by
layer and drops off-diagonal terms in each layer; here h is computed exactly. For a softmax p,
H = diag(p) - p pᵀ = Σ_c p_c (e_c - p)(e_c - p)ᵀ holds exactly and needs no labels, so

    h_kk = E[Σ_c p_c · (d log p_c / d w_k)²]

with the mean E over images. This is also the diagonal of the Fisher information. The square is
taken per image, so each image needs a backward pass for each class. All scores are changes of the
same loss, so weights are compared across all kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.keras_files import import_keras, import_tensorflow
from pupila.training.batches import Batches
from pupila_prune.kernels import Kernel
from pupila_prune.masks import Scores

keras, tf = import_keras(), import_tensorflow()
ops = keras.ops


def magnitude(kernels: Sequence[Kernel]) -> Scores:
    """Return |w| of all weights, one array per kernel."""
    return [np.abs(kernel.values) for kernel in kernels]


def obd(model: Any, kernels: Sequence[Kernel], pictures: Batches) -> Scores:
    """Return the score s_k of each weight: how much the loss would grow without it.

    `model` outputs logits `(1, classes)`, and `kernels` are its kernels. `pictures` are batches of
    one image. The model runs in inference mode: normalisation uses its running statistics, and
    dropout is off.
    """
    curvatures = _curvatures(model, kernels, pictures)
    return [h * kernel.values**2 / 2 for h, kernel in zip(curvatures, kernels, strict=True)]


def _curvatures(
    model: Any, kernels: Sequence[Kernel], pictures: Batches
) -> list[NDArray[np.float32]]:
    """Return h of each weight, one array per kernel."""
    measure = _measure(model, [kernel.variable.value for kernel in kernels])
    totals = [tf.zeros(kernel.variable.shape) for kernel in kernels]
    for number in range(len(pictures)):
        picture, _ = pictures[number]
        squares = measure(tf.constant(picture, tf.float32))
        totals = [total + square for total, square in zip(totals, squares, strict=True)]
    return [np.asarray(total) / len(pictures) for total in totals]


def _measure(model: Any, variables: list[Any]) -> Any:
    """Return a function that computes Σ_c p_c (d log p_c / d w)² of each weight from one image."""

    @tf.function(reduce_retracing=True)
    def measure(picture: Any) -> list[Any]:
        with tf.GradientTape(persistent=True) as tape:
            logs = ops.unstack(ops.log_softmax(model(picture, training=False))[0])
        totals = [tf.zeros_like(variable) for variable in variables]
        for log_p in logs:
            gradients: Any = tape.gradient(
                log_p, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            p = tf.exp(log_p)
            totals = [t + p * tf.square(g) for t, g in zip(totals, gradients, strict=True)]
        return totals

    return measure
