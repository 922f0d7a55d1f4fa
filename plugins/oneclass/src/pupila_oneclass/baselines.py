"""What older methods make of the same features: a learner must beat them.

* One-class support vectors: Schölkopf et al. 2001, "Estimating the support of a high-dimensional
  distribution", with a Gaussian kernel and ν = 1 - target_sensitivity.
* Mahalanobis distance from the mean, with the covariance of Ledoit and Wolf 2004, "A
  well-conditioned estimator for large-dimensional covariance matrices".
* Cosine similarity with the nearest training image.

They are given features normalised image by image and learn from the training images of the class
alone, as the learner does, and their thresholds come from its validation images in the same way.
They only measure: nothing is chosen by them.
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
"""Columns of features of which a covariance is still estimated: it has their square, 134 MB."""

Score = Callable[[NDArray[np.float32], NDArray[np.float32], float], Floats]
"""Of training features and of others, `(images, columns)` each: how much of the class these are."""


def support_vectors(train: NDArray[np.float32], asked: NDArray[np.float32], nu: float) -> Floats:
    """Return the decision function of one-class support vectors `(images,)`."""
    svm: Any = import_module("sklearn.svm")
    machine = svm.OneClassSVM(nu=nu, gamma="scale").fit(train)
    return np.asarray(machine.decision_function(asked), np.float64)


def mahalanobis(train: NDArray[np.float32], asked: NDArray[np.float32], nu: float) -> Floats:
    """Return minus the squared distances from the mean of the class `(images,)`."""
    del nu
    covariance: Any = import_module("sklearn.covariance")
    return -np.asarray(covariance.LedoitWolf().fit(train).mahalanobis(asked), np.float64)


def nearest_neighbour(train: NDArray[np.float32], asked: NDArray[np.float32], nu: float) -> Floats:
    """Return the cosine similarities with the nearest training image `(images,)`."""
    del nu
    neighbors: Any = import_module("sklearn.neighbors")
    searched = neighbors.NearestNeighbors(n_neighbors=1, metric="cosine").fit(train)
    distances, _ = searched.kneighbors(asked)
    return 1 - distances[:, 0].astype(np.float64)


METHODS: dict[str, Score] = {
    "one-class SVM": support_vectors,
    "Mahalanobis distance": mahalanobis,
    "nearest neighbour": nearest_neighbour,
}


def compared(
    learner: Floats,
    train: NDArray[np.float32],
    asked: NDArray[np.float32],
    is_positive: NDArray[np.bool_],
    target_sensitivity: float,
) -> Measured:
    """Tell how the learner and the baselines do on the validation images.

    `learner` are its scores of them `(images,)`, `asked` their features, normalised as for the
    learner, and `train` those of the training images of the class. Under `warning` stands which
    baseline is clearly better: the intervals of the two areas under the ROC curve do not meet.
    """
    scores = {LEARNER: learner} | {
        name: method(train, asked, 1 - target_sensitivity)
        for name, method in METHODS.items()
        if method is not mahalanobis or train.shape[1] <= _WIDEST
    }
    areas = {name: _area(each, is_positive) for name, each in scores.items()}
    qualities = {
        name: _quality(each, is_positive, target_sensitivity, areas[name])
        for name, each in scores.items()
    }
    return Measured(OneClassBaselines(on_validation=qualities), _warning(areas))


def _area(scores: Floats, is_positive: NDArray[np.bool_]) -> Estimate | None:
    columns = np.stack([scores, -scores], axis=1)
    return auc(columns, np.where(is_positive, 0, 1).astype(np.int64), column=0)


def _quality(
    scores: Floats, is_positive: NDArray[np.bool_], target_sensitivity: float, area: Estimate | None
) -> OneClassQuality:
    """Return AUROC, and what the threshold of the class's own images accepts of each side.

    Of the class it accepts what it was chosen to. Without other images there is nothing else.
    """
    called = scores >= threshold_for(
        scores[is_positive], np.ones(is_positive.sum(), bool), target_sensitivity
    )
    if area is None:
        return OneClassQuality(accepted=_part(called[is_positive]))
    return OneClassQuality(
        auc=Interval.of(area),
        accepted=_part(called[is_positive]),
        accepted_of_others=_part(called[~is_positive]),
    )


def _part(called: NDArray[np.bool_]) -> Interval:
    return Interval.of(proportion(int(called.sum()), len(called)))


def _warning(areas: dict[str, Estimate | None]) -> Measured:
    learner = areas[LEARNER]
    if learner is None:
        return Measured()
    better = [
        f"{name} {_said(area)}"
        for name, area in areas.items()
        if area is not None and area.low > learner.high
    ]
    if not better:
        return Measured()
    warning = (
        f"Simpler methods are clearly better on the same features: AUROC on the "
        f"validation images is {_said(learner)}, but of the {' and of the '.join(better)}."
    )
    return Measured(PluginWarning(warning=warning))


def _said(area: Estimate) -> str:
    return f"{area.value:.3f} ({area.low:.3f} to {area.high:.3f})"
