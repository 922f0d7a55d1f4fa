"""Measures older methods on the same features, as baselines for the classifier.

* One-class support vectors: Schölkopf et al. 2001, "Estimating the support of a high-dimensional
  distribution", with a Gaussian kernel and ν = 1 - target_sensitivity.
* Mahalanobis distance from the mean, with the covariance of Ledoit and Wolf 2004, "A
  well-conditioned estimator for large-dimensional covariance matrices".
* Cosine similarity with the nearest training image.

Like the classifier, the baselines learn from features of the class's training images, normalised
per image, and their thresholds come from the class's validation images. The baselines are only
measured: no choice depends on them.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.evaluation import Estimate
from pupila.intervals import Floats, proportion
from pupila.measured import (
    Interval,
    Measured,
    OneClassBaselines,
    OneClassQuality,
    PluginWarning,
)
from pupila.metrics import threshold_for
from pupila.roc import auc

LEARNER = "one-class CNN"

_WIDEST = 4096
"""Largest number of features for which a covariance is estimated: the matrix then has 134 MB."""

Score = Callable[[NDArray[np.float32], NDArray[np.float32], float], Floats]
"""Takes training features and other features, both `(images, columns)`, and ν; returns a score
`(images,)` of how well each of the other images fits the training images."""


def support_vectors(train: NDArray[np.float32], features: NDArray[np.float32], nu: float) -> Floats:
    """Train a one-class SVM on `train`; return its decision value for each row of `features`.

    `train` and `features` are `(images, columns)`; the result is `(images,)`.
    """
    svm: Any = import_module("sklearn.svm")
    machine = svm.OneClassSVM(nu=nu, gamma="scale").fit(train)
    return np.asarray(machine.decision_function(features), np.float64)


def mahalanobis(train: NDArray[np.float32], features: NDArray[np.float32], nu: float) -> Floats:
    """Return the negated squared Mahalanobis distances of images from the mean of `train`.

    `features` has a row for each image. `train` and `features` are `(images, columns)`; the result
    is `(images,)`.
    """
    del nu
    covariance: Any = import_module("sklearn.covariance")
    return -np.asarray(covariance.LedoitWolf().fit(train).mahalanobis(features), np.float64)


def nearest_neighbour(
    train: NDArray[np.float32], features: NDArray[np.float32], nu: float
) -> Floats:
    """Return the cosine similarity of each row of `features` with the nearest row of `train`.

    `train` and `features` are `(images, columns)`; the result is `(images,)`.
    """
    del nu
    neighbors: Any = import_module("sklearn.neighbors")
    index = neighbors.NearestNeighbors(n_neighbors=1, metric="cosine").fit(train)
    distances, _ = index.kneighbors(features)
    return 1 - distances[:, 0].astype(np.float64)


METHODS: dict[str, Score] = {
    "one-class SVM": support_vectors,
    "Mahalanobis distance": mahalanobis,
    "nearest neighbour": nearest_neighbour,
}


def compare_with_baselines(
    learner: Floats,
    train: NDArray[np.float32],
    features: NDArray[np.float32],
    is_positive: NDArray[np.bool_],
    target_sensitivity: float,
) -> Measured:
    """Measure the classifier and the baselines on the validation images.

    `learner` are the classifier's scores for the validation images `(images,)`, and `is_positive`
    says which of these images belong to the class. `features` are the normalised features of the
    validation images, and `train` are the normalised features of the class's training images, both
    `(images, columns)`. `target_sensitivity` is the fraction of the class to accept.

    The result has a `warning` if baselines are clearly better: the interval of a baseline's area
    under the ROC curve lies above the classifier's interval.
    """
    scores = {LEARNER: learner} | {
        name: method(train, features, 1 - target_sensitivity)
        for name, method in METHODS.items()
        if method is not mahalanobis or train.shape[1] <= _WIDEST
    }
    aucs = {name: _auc(of_method, is_positive) for name, of_method in scores.items()}
    qualities = {
        name: _quality(of_method, is_positive, target_sensitivity, aucs[name])
        for name, of_method in scores.items()
    }
    return Measured(OneClassBaselines(on_validation=qualities), _warning(aucs))


def _auc(scores: Floats, is_positive: NDArray[np.bool_]) -> Estimate | None:
    columns = np.stack([scores, -scores], axis=1)
    return auc(columns, np.where(is_positive, 0, 1).astype(np.int64), column=0)


def _quality(
    scores: Floats, is_positive: NDArray[np.bool_], target_sensitivity: float, area: Estimate | None
) -> OneClassQuality:
    """Return the AUROC, and the accepted fractions of the class and of the other images.

    The threshold is chosen on the class's own images, so it accepts `target_sensitivity` of them.
    If `area` is None, there are no other images, and only the accepted fraction of the class is
    returned.
    """
    accepted = scores >= threshold_for(
        scores[is_positive], np.ones(is_positive.sum(), bool), target_sensitivity
    )
    if area is None:
        return OneClassQuality(accepted=_fraction(accepted[is_positive]))
    return OneClassQuality(
        auc=Interval.of(area),
        accepted=_fraction(accepted[is_positive]),
        accepted_of_others=_fraction(accepted[~is_positive]),
    )


def _fraction(accepted: NDArray[np.bool_]) -> Interval:
    return Interval.of(proportion(int(accepted.sum()), len(accepted)))


def _warning(aucs: dict[str, Estimate | None]) -> Measured:
    learner = aucs[LEARNER]
    if learner is None:
        return Measured()
    better = [
        f"{name} {_format(area)}"
        for name, area in aucs.items()
        if area is not None and area.low > learner.high
    ]
    if not better:
        return Measured()
    warning = (
        f"Simpler methods are clearly better on the same features: AUROC on the "
        f"validation images is {_format(learner)}, but of the {' and of the '.join(better)}."
    )
    return Measured(PluginWarning(warning=warning))


def _format(area: Estimate) -> str:
    return f"{area.value:.3f} ({area.low:.3f} to {area.high:.3f})"
