"""Splits each class into pseudo-subclasses by a teacher's features.

Loo, Iliopoulos, Hu and Vee 2024, "Linear projections of teacher embeddings for few-class
distillation" (LELP; arXiv 2409.20449). With two classes, a teacher's prediction is one number per
image. To learn more from it, each class c is split into S subclasses, by directions in which the
teacher's features h vary among the images of the class:

    section 3.1   V_c: the first S principal components of N h over the labelled images of class c,
                  N: the projection onto the null space of the last layer's weights, since the
                  logits already contain what lies along these weights;
                  directions V_c Q_c with a random orthonormal Q_c, so that the expected variance
                  is the same along all of them
    section 3.2   p(s | c) = softmax_s(x_c / β),  x_c = Q_cᵀ V_cᵀ N (h - m_c) / σ_c
                  p(c, s) = p(c) · p(s | c)

Here p(c) is the teacher's softened prediction, β the subclass temperature, and m_c the mean of h
over the class. Only the paper's abstract and reviews of the paper were at hand. σ_c, the root mean
square of all coordinates of a class, is our addition: it makes β mean the same for every teacher.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import PupilaError
from pupila.training.targets import Targets

_CHUNK = 1024
"""Number of images whose features are in memory at once."""

_LEAST_VARIANCE = 1e-12
"""Smallest variance of a direction, as a fraction of the features' squared length.

A smaller variance can come from rounding in float32.
"""

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Subclasses:
    """Computes the probabilities of each class's subclasses from the features of one teacher."""

    directions: _Floats
    """V_c Q_c / σ_c of all classes side by side, `(features, classes × S)`."""
    offsets: _Floats
    """Projections of the means m_c onto `directions`, `(classes × S,)`."""
    temperature: float
    """β, the subclass temperature."""
    classes: int
    explained: list[float]
    """Fraction of each class's variance that lies along the directions of the class."""

    def of(self, features: NDArray[Any]) -> NDArray[np.float32]:
        """Return p(s | c) `(images, classes × S)` for images with features `(images, features)`."""
        coordinates = features.astype(np.float64) @ self.directions - self.offsets
        by_class = coordinates.reshape(len(features), self.classes, -1) / self.temperature
        raised = np.exp(by_class - by_class.max(axis=-1, keepdims=True))
        shares = raised / raised.sum(axis=-1, keepdims=True)
        return shares.reshape(coordinates.shape).astype(np.float32)


class SubclassTargets:
    """Subclass targets `(images, classes × S)` of one view, computed when rows are read."""

    def __init__(self, features: Targets, subclasses: Subclasses) -> None:
        self._features, self._subclasses = features, subclasses

    @property
    def shape(self) -> tuple[int, ...]:
        return self._features.shape[0], len(self._subclasses.offsets)

    def __getitem__(self, rows: NDArray[np.int64] | slice, /) -> NDArray[np.float32]:
        return self._subclasses.of(self._features[rows])


def fit_subclasses(
    features: Targets,
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
    kernel: _Floats,
    count: int,
    temperature: float,
    seed: int,
) -> Subclasses:
    """Split each class of labelled images into `count` subclasses.

    `features` are the teacher's features `(images, features)` of images without augmentation.
    `labels` `(images,)` are indices of `classes`, and -1 for unlabelled images. `kernel` has the
    weights of the teacher's last layer, `(features, logits)`. `temperature` is β.

    Raises:
        PupilaError: a class has too few images, or its features vary in too few directions.
    """
    in_logits = _basis(kernel)
    parts = [
        _split(
            _Varying(features, np.flatnonzero(labels == number), in_logits),
            name,
            count,
            np.random.default_rng([seed, number]),
        )
        for number, name in enumerate(classes)
    ]
    return Subclasses(
        directions=np.concatenate([part.directions for part in parts], axis=1),
        offsets=np.concatenate([part.mean @ part.directions for part in parts]),
        temperature=temperature,
        classes=len(classes),
        explained=[round(part.explained, 4) for part in parts],
    )


@dataclass(frozen=True)
class _ClassSplit:
    """The split of one class: its mean, its directions, and the variance that they explain."""

    mean: _Floats
    directions: _Floats
    explained: float


class _Varying:
    """Computes the variance of the features of the images `rows`, and reads features in chunks."""

    def __init__(self, features: Targets, rows: NDArray[np.int64], in_logits: _Floats) -> None:
        self._features, self._rows, self._in_logits = features, rows, in_logits
        self.images, self.columns = len(rows), features.shape[1]
        self.free = self.columns - in_logits.shape[1]
        """Number of dimensions of the features that are not contained in the logits."""
        total = sum((chunk.sum(axis=0) for chunk in self._chunks()), np.zeros(self.columns))
        self.mean = total / max(self.images, 1)

    def squares(self, around: _Floats | float) -> float:
        """Return the sum of the features' squared distances from a point."""
        return sum(float(np.square(chunk - around).sum()) for chunk in self._chunks())

    def scatter(self, vector: _Floats) -> _Floats:
        """Multiply a vector `(features,)` by the projected scatter matrix N Σ (h - m)(h - m)ᵀ N."""
        inside = self._project(vector.ravel())
        parts = (chunk - self.mean for chunk in self._chunks())
        whole = sum((part.T @ (part @ inside) for part in parts), np.zeros(self.columns))
        return self._project(whole)

    def _project(self, vector: _Floats) -> _Floats:
        return vector - self._in_logits @ (self._in_logits.T @ vector)

    def _chunks(self) -> Iterator[_Floats]:
        for start in range(0, self.images, _CHUNK):
            yield self._features[self._rows[start : start + _CHUNK]].astype(np.float64)


def _split(varying: _Varying, name: str, count: int, random: np.random.Generator) -> _ClassSplit:
    """Split a class along `count` directions, rotated at random for equal expected variances."""
    possible = min(varying.images - 1, varying.free)
    if count > possible:
        raise _too_many(name, count, max(possible, 0), varying)
    shape = (varying.columns, varying.columns)
    least = _LEAST_VARIANCE * varying.squares(around=0.0)
    start = np.random.default_rng(0).normal(size=varying.columns)
    if np.linalg.norm(varying.scatter(start)) <= least:
        raise _too_many(name, count, 0, varying)
    linalg: Any = import_module("scipy.sparse.linalg")  # scipy does not type it
    operator = linalg.LinearOperator(shape, matvec=varying.scatter, dtype=np.float64)
    eigenpairs: tuple[_Floats, _Floats] = linalg.eigsh(operator, k=count, which="LA", v0=start)
    squares, vectors = eigenpairs
    varied = int((squares > least).sum())
    if varied < count:
        raise _too_many(name, count, varied, varying)
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), range(count)])
    scale = np.sqrt(squares.mean() / varying.images)
    return _ClassSplit(
        varying.mean,
        (vectors * signs) @ _rotation(count, random) / scale,
        float(squares.sum()) / varying.squares(around=varying.mean),
    )


def _too_many(name: str, count: int, possible: int, varying: _Varying) -> PupilaError:
    advice = f"`subclasses: {possible}` or less" if possible > 1 else "more labelled images"
    return PupilaError(
        f"`subclasses` is {count}, but the {varying.images} labelled images of {name!r} differ in "
        f"no more than {possible} directions of the teacher's {varying.columns} features beside "
        f"its logits: give {advice}, or `subclass_weight: 0`."
    )


def _basis(kernel: _Floats) -> _Floats:
    """Return an orthonormal basis of the column space of a matrix."""
    vectors, sizes, _ = np.linalg.svd(kernel, full_matrices=False)
    return vectors[:, sizes > sizes.max() * max(kernel.shape) * np.finfo(np.float32).eps]


def _rotation(size: int, random: np.random.Generator) -> _Floats:
    """Return a random orthonormal matrix.

    The matrix is the Q of the QR decomposition of a normally distributed matrix, with the signs of
    the diagonal of R.
    """
    orthonormal, triangle = np.linalg.qr(random.normal(size=(size, size)))
    return orthonormal * np.sign(np.diag(triangle))
