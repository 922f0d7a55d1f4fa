"""What a locator is retrained on after it was changed: its labels, and its own answers before."""

from __future__ import annotations

import numpy as np
import pytest

from pupila import Dataset, PupilaError, keras_files
from pupila.store import Store
from pupila.testing import DISC, StepMaker, disc_locator
from pupila.training.retraining import RetrainingTargets
from pupila.training.schedule import Schedule, SoftTargets

VIEWS = {"views": 2, "rotation_degrees": 30}


class _Settings(SoftTargets, Schedule):
    pass


@pytest.fixture(params=["heat-map", "coordinates"])
def retraining(request, store, dataset, tmp_path):
    locator = disc_locator(store, kind=request.param)
    settings = {"alpha": 0.0, "temperature": 2.0, "augmentation": VIEWS}
    return StepMaker(_Settings, settings, [locator], dataset, tmp_path)


def test_a_locator_is_retrained_on_its_own_answers_to_each_view(retraining):
    step = retraining()
    targets, model = RetrainingTargets.of(step), keras_files.load(step.inputs[0])
    rows = np.arange(len(targets.train))
    for number, of_view in enumerate(targets.train.targets):
        pictures = targets.train.view(rows, number).astype(np.float32)
        outputs, given = np.asarray(model(pictures)), np.asarray(of_view[rows])
        own = np.asarray(targets.loss(given, outputs))
        others = np.asarray(targets.loss(np.roll(given, 1, axis=0), outputs))
        assert own.max() < 0.02
        assert np.median(others) > 20 * own.max()
        assert np.asarray(targets.right(given, outputs)).mean() > 0.9
    assert targets.validation.targets[0].shape[1] == targets.train.targets[0].shape[1]


def test_a_model_that_finds_nothing_can_be_retrained(store: Store, dataset: Dataset, retraining):
    wrong = disc_locator(store, slope=-40.0)
    targets = RetrainingTargets.of(retraining(inputs=[wrong]))
    assert np.isfinite(np.asarray(targets.validation.targets[0])).all()


def test_the_names_of_a_retrained_model_are_those_of_the_data(retraining, dataset: Dataset):
    other = Dataset.of(dataset.frame, ("fovea",), dataset.cache, dataset.task)
    with pytest.raises(PupilaError, match=f"The model has the classes .'{DISC}'., but the data"):
        RetrainingTargets.of(retraining(images=other))
