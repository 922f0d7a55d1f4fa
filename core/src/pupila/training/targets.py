"""Training targets: labels, and the mean of the teachers' predictions.

p̄ is the weighted mean of the teachers' softened distributions (Hinton et al. 2015, sections 2 and
5). With the logits t_k of teacher k, its weight w_k and temperature T:

    p̄ = Σ w_k softmax(t_k/T) / Σ w_k

The targets hold the logits T · log p̄, whose softmax at temperature T is p̄. With only one teacher,
the targets hold the teacher's own logits, up to a constant per image that softmax ignores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pupila.dataset import Dataset
from pupila.views import Augmentation

_LEAST_PROBABILITY = 1e-7
"""Smaller probabilities are raised to this before the logarithm, which would be infinite at 0.

A softmax in float32 rounds tiny probabilities to 0; a softmax in int8 rounds all below 1/512 to 0.
With this limit, two logits differ by 16 at most.
"""


class Targets(Protocol):
    """Targets of images `(images, columns)`: an array, or an object that makes rows on access."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: NDArray[np.int64] | slice, /) -> NDArray[Any]: ...


class JoinedTargets:
    """Several targets, joined side by side: `(images, columns)` with the columns of all.

    Rows are joined only when they are read.
    """

    def __init__(self, *targets: Targets) -> None:
        self._targets = targets

    @property
    def shape(self) -> tuple[int, int]:
        return self._targets[0].shape[0], sum(targets.shape[1] for targets in self._targets)

    def __getitem__(self, rows: NDArray[np.int64] | slice, /) -> NDArray[np.float32]:
        return np.concatenate([targets[rows] for targets in self._targets], axis=-1)


def one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Turn labels `(images,)` into one-hot rows `(images, classes)`.

    A label of -1 stands for no label and becomes a row of zeros.
    """
    return (labels[:, np.newaxis] == np.arange(classes)).astype(np.float32)


def labels_of(images: Dataset) -> NDArray[np.float32]:
    """Return the one-hot labels `(images, classes)` of the unaltered images."""
    return one_hot(images.labels, len(images.classes))


def labels_of_views(images: Dataset, augmentation: Augmentation) -> list[NDArray[np.float32]]:
    """Return the labels `(images, classes)` of each augmented view, mixed like its pictures.

    Zhang et al. 2018, "mixup", equation 1: if a picture is mixed from image i with the weight λ and
    image j with the weight 1 - λ, its label is λ · y_i + (1 - λ) · y_j.
    """
    labels = labels_of(images)
    sha256 = images.frame["sha256"].tolist()
    mixtures = (augmentation.mixture(sha256, view) for view in range(augmentation.views))
    return [
        fractions[:, np.newaxis] * labels + (1 - fractions[:, np.newaxis]) * labels[partners]
        for partners, fractions in mixtures
    ]


def softened_mean(
    probabilities: Sequence[NDArray[np.float32]], weights: ArrayLike, temperature: float
) -> NDArray[np.float32]:
    """Return the logits T · log p̄ `(images, classes)` of the teachers' softened mean.

    `probabilities` has the probabilities `(images, classes)` of each teacher. `weights` has one
    weight for each teacher `(teachers,)`, or one for each teacher and image `(teachers, images)`,
    not all of them 0.
    """
    logits = np.log(np.clip(np.stack(probabilities).astype(np.float64), _LEAST_PROBABILITY, 1))
    raised = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
    softened = raised / raised.sum(axis=-1, keepdims=True)
    shares = np.asarray(weights, np.float64).reshape(len(softened), -1, 1)
    mean = (shares * softened).sum(axis=0) / shares.sum(axis=0)
    return (temperature * np.log(np.maximum(mean, np.finfo(np.float64).tiny))).astype(np.float32)


def pack_targets(*columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Join arrays to targets: labels, teachers' logits, then whatever else the loss needs.

    The arrays are `(images, …)` and are joined along the last axis.
    """
    return np.concatenate(columns, axis=-1)
