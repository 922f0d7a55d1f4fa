"""Small Keras models of every kind of layer, and their artifacts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pupila import Artifact, InputSpec, OutputSpec, keras_files
from pupila.artifact import Origin
from pupila.plugin_registry import installed
from pupila.spec import OutputKind
from pupila.store import Store
from pupila.testing import run_step

SIZE = InputSpec(height=24, width=20)
CLASSES = ("glaucoma", "normal", "other")


def build(body: Callable[[Any, Any], Any], kind: OutputKind = "softmax") -> Any:
    """Put `body(layers, tensor)` between scaling and a head of that kind; weights are random."""
    layers = keras_files.import_keras().layers
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(0)
    image = keras.Input(SIZE.shape)
    features = body(layers, layers.Rescaling(1 / 127.5, offset=-1.0)(image))
    activation = None if kind == "logits" else kind
    columns = 1 if kind == "sigmoid" else len(CLASSES)
    model = keras.Model(image, layers.Dense(columns, activation=activation)(features))
    random = np.random.default_rng(0)
    for weight in model.weights:
        noise = random.uniform(0.5, 1.5, weight.shape)  # batch normalisation away from identity
        weight.assign(np.asarray(weight) * noise if len(weight.shape) > 1 else noise)
    return model


def conv_and_norm(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return layers.GlobalAveragePooling2D()(x)


def depthwise(layers: Any, x: Any) -> Any:
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2)(x)
    x = layers.SeparableConv2D(8, 3, activation="relu6")(x)
    return layers.GlobalMaxPooling2D()(x)


def dense(layers: Any, x: Any) -> Any:
    x = layers.Flatten()(layers.AveragePooling2D(4)(x))
    return layers.Dropout(0.5)(layers.Dense(16, activation="tanh")(x))


def transposed(layers: Any, x: Any) -> Any:
    x = layers.Conv2D(4, 3, strides=2, padding="same")(x)
    x = layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu")(x)
    return layers.GlobalAveragePooling2D()(x)


_BODIES = {body.__name__: body for body in (conv_and_norm, depthwise, dense, transposed)}


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("tflite") / "store")


@pytest.fixture(scope="session")
def keras_model() -> Callable[..., Any]:
    """Build the model of that body and head."""

    @cache
    def make(body: str, kind: OutputKind = "softmax") -> Any:
        return build(_BODIES[body], kind)

    return make


@pytest.fixture(scope="session")
def stored(store: Store) -> Callable[..., Artifact]:
    """Store a Keras model, or what `write` puts into a folder, as an artifact."""

    def make(
        model: Any,
        kind: OutputKind = "softmax",
        format: str = "keras",
        write: Callable[[Any, Path], None] = keras_files.save,
    ) -> Artifact:
        with store.draft() as folder:
            write(model, folder)
            return store.add(
                folder,
                format=format,
                input=SIZE,
                output=OutputSpec(kind=kind, classes=CLASSES[: 2 if kind == "sigmoid" else 3]),
                origin=Origin(plugin="test", distribution="test", version="0"),
            )

    return make


@pytest.fixture(scope="session")
def exported(
    keras_model: Callable[..., Any],
    stored: Callable[..., Artifact],
    store: Store,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Artifact]:
    """Export the model of that body and head to TFLite, once."""

    @cache
    def make(body: str, kind: OutputKind = "softmax") -> Artifact:
        artifact = stored(keras_model(body, kind), kind)
        plugin = installed().step("export-tflite")
        folder = tmp_path_factory.mktemp("run")
        return run_step(plugin, plugin.config(), [artifact], folder, store=store).artifact

    return make


@pytest.fixture(scope="session")
def images() -> np.ndarray:
    """Return uint8 images that fit the models."""
    return np.random.default_rng(1).integers(0, 256, (5, *SIZE.shape), np.uint8)
