"""Noise of two colours, a teacher that tells them apart, and steps of `distill` on both."""

from __future__ import annotations

import pytest

from pupila import Dataset, OutputSpec, installed, keras_files
from pupila.artifact import Origin
from pupila.store import Store
from pupila.testing import StepMaker, colour_dataset, colour_teacher
from pupila_distill import techniques
from pupila_distill.config import Distillation
from pupila_distill.training import train_student

QUICK = {
    "student": "conv-32-64-8",
    "size": 32,
    "epochs": 3,
    "batch_size": 8,
    "augmentation": {"views": 2},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def teacher(store):
    return colour_teacher(store)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    return colour_dataset(folder)


@pytest.fixture
def distilling(teacher, dataset, tmp_path):
    """Return a function that makes steps of `distill` with changed settings."""
    return StepMaker(Distillation, QUICK, [teacher], dataset, tmp_path)


@pytest.fixture
def targets_of(monkeypatch):
    """Return the targets that a technique makes for a step, without training."""

    def targets(technique, step):
        seen = []
        monkeypatch.setattr(techniques, "train_student", lambda _, targets: seen.append(targets))
        technique(step)
        monkeypatch.setattr(techniques, "train_student", train_student)
        return seen[0]

    return targets


@pytest.fixture(scope="session")
def with_unlabelled():
    """Return a function that gives a dataset with its test images as unlabelled ones."""

    def unlabelled(dataset):
        frame = dataset.frame.copy()
        tested = frame["split"] == "test"
        frame.loc[tested, ["split", "label"]] = ["unlabelled", ""]
        return Dataset.of(frame, dataset.classes, dataset.cache)

    return unlabelled


@pytest.fixture
def real_teacher(shared_teachers, tmp_path):
    """Return a function that reads a teacher of the shared files, by name, as a `keras.Model`."""

    def read(name):
        source, store = shared_teachers / name, Store(tmp_path)
        loader = installed().loader(source)
        output = OutputSpec(kind="softmax", classes=("glaucoma", "normal"))
        with store.draft() as draft:
            product = loader.load()(source, output, draft)
            origin = Origin(plugin=loader.name, distribution="test", version="0")
            return keras_files.load(store.add(draft, origin=origin, **vars(product)))

    return read
