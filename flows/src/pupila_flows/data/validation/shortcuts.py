"""Measures how well the image size or the mean colour alone tells the classes apart.

A model may learn size or colour instead of the disease, and fail on images of another camera.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SIZE_COLUMNS = ("width", "height", "bytes")
COLOUR_COLUMNS = ("mean_red", "mean_green", "mean_blue")
MINIMUM_IMAGES = 10
"""Smallest number of positive images, and of negative images, for a meaningful AUC."""

_FOLDS = 5


def size_auc(frame: pd.DataFrame, positive: NDArray[np.bool_]) -> dict[str, float]:
    """Return the AUC of each size column alone, as `{column: AUC}`.

    If an AUC is below 0.5, it is replaced by 1 minus the AUC. `positive` `(images,)` tells which
    images are of the positive class.
    """
    metrics: Any = import_module("sklearn.metrics")
    scores = {
        name: float(metrics.roc_auc_score(positive, np.asarray(frame[name])))
        for name in SIZE_COLUMNS
    }
    return {name: max(score, 1 - score) for name, score in scores.items()}


def colour_auc(frame: pd.DataFrame, positive: NDArray[np.bool_]) -> float:
    """Return the AUC of a logistic regression on the mean red, green and blue.

    `positive` `(images,)` tells which images are of the positive class. The AUC is the mean over
    five stratified folds; each fold is scored by a model that was fitted on the other four.
    """
    selection: Any = import_module("sklearn.model_selection")
    linear_model: Any = import_module("sklearn.linear_model")
    pipeline: Any = import_module("sklearn.pipeline")
    preprocessing: Any = import_module("sklearn.preprocessing")
    model = pipeline.make_pipeline(
        preprocessing.StandardScaler(), linear_model.LogisticRegression()
    )
    folds = selection.StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    colours = np.stack([np.asarray(frame[name], np.float64) for name in COLOUR_COLUMNS], axis=1)
    scores = selection.cross_val_score(model, colours, positive, cv=folds, scoring="roc_auc")
    return float(scores.mean())
