"""Blue and red noise images, a small teacher, and steps that learn the class `blue`."""

from __future__ import annotations

import pytest

from pupila import keras_files
from pupila.store import Store
from pupila.testing import StepMaker, colour_dataset, store_model
from pupila_oneclass.config import OneClass

QUICK = {
    "positive": "blue",
    "epochs": 3,
    "batch_size": 8,
    "hidden": 16,
    "augmentation": {"views": 2},
}


def seeing_colours():
    """A small net with the usual layers; its classes are not those of the data."""
    keras = keras_files.import_keras()
    layers = keras.layers
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3), name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    x = layers.Conv2D(12, 3, 2, activation="relu", name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Conv2D(16, 3, 2, activation="relu", name="last_conv")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(8, activation="relu", name="dense")(x)
    x = layers.Dense(2, activation="softmax", name="answer")(x)
    return keras.Model(image, x, name="net")


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def teacher(store):
    return store_model(store, seeing_colours(), ("happy", "sad"))


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    folder = tmp_path_factory.mktemp("colours")
    return colour_dataset(folder)


@pytest.fixture
def step_on(teacher, colours, tmp_path):
    """Return a function that makes steps with changed settings, each in its own folder."""
    return StepMaker(OneClass, QUICK, [teacher], colours, tmp_path)
