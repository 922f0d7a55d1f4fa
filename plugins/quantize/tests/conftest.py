"""A small network as a float flatbuffer, and images to calibrate it on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pupila import Artifact, Dataset, InputSpec, OutputSpec, keras_files
from pupila.artifact import Origin
from pupila.plugin_registry import installed
from pupila.store import Store
from pupila.testing import CLASSES, StepRun, draw_images, read_images, run_step

_SIZE = InputSpec(height=32, width=32)
_IMAGES_OF_A_CLASS = 12


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("quantize") / "store")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    return read_images(draw_images(folder / "images", images=_IMAGES_OF_A_CLASS), folder / "cache")


@pytest.fixture(scope="session")
def float_artifact(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Return a flatbuffer of 1.2 MB with every kind of layer with weights, and a residual."""
    with store.draft() as folder:
        keras_files.save(_network(), folder)
        model = store.add(
            folder,
            format="keras",
            input=_SIZE,
            output=OutputSpec(kind="softmax", classes=CLASSES),
            origin=Origin(plugin="test", distribution="test", version="0"),
        )
    plugin = installed().step("export-tflite")
    folder = tmp_path_factory.mktemp("export")
    return run_step(plugin, plugin.config(), [model], folder, store=store).artifact


def _network() -> Any:
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input(_SIZE.shape)
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    x = layers.Conv2D(96, 1, activation="relu")(x)
    skip = x
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(x)
    x = layers.Add()([skip, layers.Conv2D(96, 1)(x)])
    x = layers.Concatenate()([layers.MaxPooling2D()(x), layers.AveragePooling2D(2)(x)])
    x = layers.Conv2DTranspose(8, 2, strides=2, activation="sigmoid")(x)
    x = layers.Flatten()(layers.AveragePooling2D(4)(x))
    x = layers.Dense(2048, activation="relu")(x)
    model = keras.Model(image, layers.Dense(len(CLASSES), activation="softmax")(x))
    random = np.random.default_rng(0)
    for weight in model.weights:  # no two constants alike: the converter would merge them
        if len(weight.shape) == 1:
            weight.assign(random.uniform(0.05, 0.15, weight.shape))
    return model


@pytest.fixture
def quantized(
    float_artifact: Artifact, dataset: Dataset, store: Store, tmp_path: Path
) -> Callable[..., StepRun]:
    """Return a function that runs a technique with some settings."""

    def make(name: str, seed: int = 0, **settings: Any) -> StepRun:
        plugin = installed().step(name)
        return run_step(
            plugin,
            plugin.config.model_validate(settings),
            [float_artifact],
            tmp_path / name,
            store=store,
            dataset=dataset,
            seed=seed,
        )

    return make


@pytest.fixture(scope="session")
def test_images(dataset: Dataset) -> np.ndarray:
    return np.asarray(dataset.select("test").pixels(_SIZE))
