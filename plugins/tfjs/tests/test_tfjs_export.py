"""Keras models of each kind that we make or meet, through the converter, on the WASM backend."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila import Artifact, PupilaError, keras_files
from pupila_tfjs import Weights
from pupila_tfjs.runner import open_model

SIDE = 32
ExportModel = Callable[[Any, Weights], Artifact]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("javascript")]


@pytest.fixture(scope="module")
def keras() -> Any:
    return keras_files.import_keras()


def batch(images: int = 8) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (images, SIDE, SIDE, 3), np.uint8)


def randomize(model: Any) -> Any:
    """Move every weight from its start, batch statistics too, so that no layer is a no-op."""
    random = np.random.default_rng(0)
    model.set_weights(
        [value + random.uniform(0.05, 0.3, value.shape) for value in model.get_weights()]
    )
    return model


def student(keras: Any, axis: int = -1) -> Any:
    """Build a MobileNet-like net: convolution, depthwise, pointwise, and a residual block."""
    layers = keras.layers

    def normalized(tensor: Any, layer: Any, active: bool = True) -> Any:
        tensor = layers.BatchNormalization(axis=axis)(layer(tensor))
        return layers.ReLU(6.0)(tensor) if active else tensor

    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 127.5, -1)(image)
    x = normalized(x, layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False))
    x = normalized(x, layers.DepthwiseConv2D(3, padding="same", use_bias=False))
    x = normalized(x, layers.Conv2D(24, 1, use_bias=False))
    branch = normalized(x, layers.Conv2D(48, 1, use_bias=False))
    branch = normalized(branch, layers.DepthwiseConv2D(3, padding="same"))
    branch = normalized(branch, layers.Conv2D(24, 1), active=False)
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, branch]))
    return randomize(keras.Model(image, layers.Dense(2, activation="softmax")(x)))


def nested(keras: Any) -> Any:
    """Build a model in a model, whose batch normalisation names axis 3."""
    inner = student(keras, axis=3)
    image = keras.Input((SIDE, SIDE, 3))
    return keras.Model(image, inner(keras.layers.Rescaling(1.0)(image)))


def squeezed(keras: Any) -> Any:
    """Build a fire module, hard-swish and an `axis=3` normalisation after a biased convolution."""
    layers = keras.layers
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1.0, offset=[-123.68, -116.779, -103.939])(image)
    x = layers.Conv2D(8, 3, strides=2, activation="hard_silu")(x)
    x = layers.BatchNormalization(axis=3)(layers.Conv2D(8, 1)(x))
    x = layers.Concatenate()(
        [layers.Conv2D(4, 1, activation="relu")(x), layers.SeparableConv2D(4, 3, padding="same")(x)]
    )
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x))
    return randomize(keras.Model(image, layers.Dense(2, activation="softmax")(x)))


def answers(artifact: Artifact, images: NDArray[np.uint8]) -> tuple[str, NDArray[np.float32]]:
    model = open_model(artifact, threads=1)
    try:
        return model.runtime, model.predict(images, lambda done, total, what: None)
    finally:
        model.close()


@pytest.mark.parametrize(
    ("weights", "largest_difference", "largest_part"),
    [("float32", 1e-5, 1.0), ("float16", 2e-3, 0.52), ("uint8", 0.05, 0.30)],
)
def test_each_weight_type_shrinks_the_shards_and_answers_as_keras_does(
    keras: Any,
    export_model: ExportModel,
    weights: Weights,
    largest_difference: float,
    largest_part: float,
):
    model = student(keras)
    artifact = export_model(model, weights)
    runtime, found = answers(artifact, batch())
    assert "wasm backend" in runtime
    expected = model.predict(batch().astype(np.float32), verbose=0)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(found, expected, atol=largest_difference)
    shards = sum(file.stat().st_size for file in artifact.files if file.suffix == ".bin")
    assert shards <= largest_part * 4 * keras_files.parameters(model)


@pytest.mark.parametrize(("build", "wide_biases"), [(nested, 3), (squeezed, 0)])
def test_a_model_runs_on_wasm_as_in_keras(
    keras: Any, export_model: ExportModel, build: Callable[[Any], Any], wide_biases: int
):
    model = build(keras)
    artifact = export_model(model, "float32")
    assert artifact.record.measured == {"flattened_biases": wide_biases}
    runtime, found = answers(artifact, batch())
    assert "wasm backend" in runtime
    expected = model.predict(batch().astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_graph_takes_one_raw_image(keras: Any, export_model: ExportModel):
    artifact = export_model(student(keras), "float32")
    signature = json.loads(artifact.file("model.json").read_text())["signature"]
    (image,) = signature["inputs"].values()
    assert [int(each["size"]) for each in image["tensorShape"]["dim"]] == [1, SIDE, SIDE, 3]
    assert image["dtype"] == "DT_FLOAT"


def test_an_operation_that_tfjs_lacks_is_named(keras: Any, export_model: ExportModel):
    layers = keras.layers
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="gelu")(image))
    model = keras.Model(image, layers.Dense(2, activation="softmax")(x))
    with pytest.raises(PupilaError, match=r"refused the model \(exit code 1\): .*Erfc"):
        export_model(model, "float32")


@pytest.mark.parametrize("name", ["efficientnet_lite0.keras", "squeezenet.keras"])
def test_a_teacher_runs_on_wasm_as_in_keras(
    shared_teachers: Path, keras: Any, export_model: ExportModel, name: str
):
    model = keras.saving.load_model(shared_teachers / name, compile=False)
    images = np.random.default_rng(2).integers(0, 256, (2, *model.input_shape[1:]), np.uint8)
    runtime, found = answers(export_model(model, "float32"), images)
    assert "wasm backend" in runtime
    np.testing.assert_allclose(
        found, model.predict(images.astype(np.float32), verbose=0), atol=1e-4
    )
