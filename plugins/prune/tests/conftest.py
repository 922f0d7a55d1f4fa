"""Images of two colours, a store for models that classify them, and steps on both."""

from __future__ import annotations

from typing import Any

import pytest

from pupila.predictions import Predictions
from pupila.store import Store
from pupila.testing import colour_dataset, ignore_progress, step_for, store_model


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    return colour_dataset(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return a function that stores a model that classifies the colours."""
    store = Store(tmp_path_factory.mktemp("store"))

    def stored(model, kind: Any = "softmax"):
        return store_model(store, model, ("blue", "red"), kind)

    return stored


@pytest.fixture(scope="module")
def step_on(colours, tmp_path_factory):
    """Return a function that makes a step from settings and an artifact."""
    kept = Predictions(tmp_path_factory.mktemp("predictions"))

    def step(config, artifact, folder=None, seed=0, progress=ignore_progress):
        workspace = folder or tmp_path_factory.mktemp("step")
        return step_for(
            config,
            [artifact],
            workspace,
            dataset=colours,
            predictions=kept,
            seed=seed,
            progress=progress,
        )

    return step
