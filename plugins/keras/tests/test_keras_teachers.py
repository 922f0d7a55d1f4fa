"""The five real teachers are as accurate on ACRIMA's test images as their README says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pupila import Dataset
from pupila.manifest import read, scan
from pupila.predictions import open_model
from pupila.runtime import ignore_progress

CLASSES = ("glaucoma", "normal")

TEACHERS = [
    # file, parameters, test accuracy, test AUC, each as its README rounds it
    ("vgg16_nested.h5", 14_846_530, 0.963, 0.991),
    ("xception_nested.keras", 20_865_578, 0.925, 0.986),
    ("efficientnet_lite0.keras", 3_415_586, 0.953, 0.994),
    ("efficientnet_lite0_seed2.keras", 3_415_586, 0.944, 0.996),
    ("squeezenet.keras", 723_522, 0.953, 0.996),
]


@pytest.fixture(scope="module")
def test_images(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    cache = tmp_path_factory.mktemp("cache")
    frame = scan(read(shared_data / "glaucoma"), cache, ignore_progress)
    return Dataset.of(frame, CLASSES, cache).select("test")


@pytest.mark.long
@pytest.mark.parametrize(("name", "parameters", "accuracy", "auc"), TEACHERS)
def test_a_teacher_is_as_good_as_its_readme_says(
    name: str,
    parameters: int,
    accuracy: float,
    auc: float,
    shared_teachers: Path,
    test_images: Dataset,
    import_model,
):
    artifact = import_model(shared_teachers / name, "softmax", CLASSES)
    assert artifact.record.parameters == parameters
    model = open_model(artifact)
    outputs = model.predict(np.asarray(test_images.pixels(artifact.record.input)), ignore_progress)
    model.close()
    ill = test_images.labels == 0
    assert np.mean((outputs.argmax(axis=1) == 0) == ill) == pytest.approx(accuracy, abs=5e-4)
    assert roc_auc_score(ill, outputs[:, 0]) == pytest.approx(auc, abs=5e-4)
