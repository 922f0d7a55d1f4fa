"""Keras models of each kind that we build or import, converted, on the WASM backend."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila import Artifact, PupilaError, keras_files
from pupila.testing import ExporterContract
from pupila.testing.attention import attention_model, model_of
from pupila_tfjs.config import Weights
from pupila_tfjs.runner import open_model

SIDE = 32
ExportModel = Callable[[Any, Weights], Artifact]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("javascript")]


@pytest.fixture(scope="module")
def keras() -> Any:
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(3)
    return keras


def batch() -> NDArray[np.uint8]:
    """Return eight images `(8, SIDE, SIDE, 3)` of different colours, with noise."""
    random = np.random.default_rng(1)
    colours = random.uniform(0, 256, (8, 1, 1, 3))
    return (colours * random.uniform(0.3, 1, (8, SIDE, SIDE, 3))).astype(np.uint8)


def classifier(keras: Any, image: Any, features: Any) -> Any:
    """Put a softmax head on `features`, with different outputs for the images of `batch()`.

    The head scales small differences of untrained features up to 0..1, and errors with them. All
    layers get offsets, so that none of them does nothing.
    """
    random = np.random.default_rng(0)
    head = keras.layers.Dense(2, activation="softmax")
    model = keras.Model(image, head(features))
    values = model.get_weights()
    model.set_weights(
        [value + random.uniform(0.1, 0.4, value.shape) * (value.ndim == 1) for value in values]
    )
    kernel, _ = head.get_weights()
    extractor = keras.Model(image, features)
    logits = extractor.predict(batch().astype(np.float32), verbose=0) @ kernel
    head.set_weights([kernel / logits.std(axis=0), -(logits / logits.std(axis=0)).mean(axis=0)])
    return model


def expected_outputs(model: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return Keras' outputs, after checking that they differ from image to image."""
    expected = model.predict(images.astype(np.float32), verbose=0)
    assert np.ptp(expected[:, 0]) > 0.1
    return expected


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
    return classifier(keras, image, layers.GlobalAveragePooling2D()(layers.Add()([x, branch])))


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
    return classifier(keras, image, layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(x)))


def residual(keras: Any) -> Any:
    """Build two branches of convolutions without offsets, as before training, and their sum."""
    layers = keras.layers
    image = keras.Input((SIDE, SIDE, 3))

    def normalized(tensor: Any, size: int) -> Any:
        return layers.BatchNormalization(axis=3)(layers.Conv2D(8, size, padding="same")(tensor))

    branch = normalized(layers.ReLU()(normalized(image, 3)), 1)
    x = layers.Activation("relu")(layers.Add()([normalized(image, 1), branch]))
    model = classifier(keras, image, layers.GlobalAveragePooling2D()(x))
    for layer in model.layers[:-1]:
        for weight in layer.weights:
            if weight.name in ("bias", "beta", "moving_mean"):
                weight.assign(0 * weight)
    return model


def predict(artifact: Artifact, images: NDArray[np.uint8]) -> tuple[str, NDArray[np.float32]]:
    model = open_model(artifact, threads=1)
    try:
        return model.runtime, model.predict(images, lambda done, total, what: None)
    finally:
        model.close()


@pytest.mark.long
@pytest.mark.parametrize(
    ("weights", "largest_difference", "largest_fraction"),
    [("float32", 5e-5, 1.0), ("float16", 1e-2, 0.52), ("uint8", 0.25, 0.30)],
)
def test_each_weight_type_shrinks_the_shards_and_gives_the_outputs_of_keras(
    keras: Any,
    export_model: ExportModel,
    weights: Weights,
    largest_difference: float,
    largest_fraction: float,
):
    model = student(keras)
    artifact = export_model(model, weights)
    runtime, outputs = predict(artifact, batch())
    assert "wasm backend" in runtime
    np.testing.assert_allclose(outputs, expected_outputs(model, batch()), atol=largest_difference)
    shards = sum(file.stat().st_size for file in artifact.files if file.suffix == ".bin")
    assert shards <= largest_fraction * 4 * keras_files.parameters(model)


@pytest.mark.parametrize(
    ("build", "wide_biases", "sums"), [(nested, 3, 0), (squeezed, 0, 0), (residual, 0, 1)]
)
def test_a_model_runs_on_wasm_as_in_keras(
    keras: Any, export_model: ExportModel, build: Callable[[Any], Any], wide_biases: int, sums: int
):
    model = build(keras)
    artifact = export_model(model, "float32")
    changes = {"flattened_biases": wide_biases, "separated_sums": sums, "replaced_complements": 0}
    assert artifact.record.measured == changes
    runtime, outputs = predict(artifact, batch())
    assert "wasm backend" in runtime
    np.testing.assert_allclose(outputs, expected_outputs(model, batch()), atol=5e-5)


def test_the_graph_takes_one_raw_image(keras: Any, export_model: ExportModel):
    artifact = export_model(student(keras), "float32")
    signature = json.loads(artifact.file("model.json").read_text())["signature"]
    (image,) = signature["inputs"].values()
    assert [int(axis["size"]) for axis in image["tensorShape"]["dim"]] == [1, SIDE, SIDE, 3]
    assert image["dtype"] == "DT_FLOAT"


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "complements"),
    [("transformer", 2), ("hybrid", 1), ("attentions", 0), ("operations", 0)],
)
def test_attention_runs_on_wasm_as_in_keras(kind: str, complements: int, export_model: ExportModel):
    model = attention_model(kind)
    artifact = export_model(model, "float32")
    assert artifact.record.measured["replaced_complements"] == complements  # of exact GELUs
    runtime, outputs = predict(artifact, batch())
    assert "wasm backend" in runtime
    np.testing.assert_allclose(outputs, model.predict(batch(), verbose=0), atol=1e-5)


def test_an_operation_that_tfjs_lacks_is_named(keras: Any, export_model: ExportModel):
    def patches(x: Any) -> Any:
        return keras.layers.Flatten()(keras.ops.image.extract_patches(x, 8))

    with pytest.raises(PupilaError, match=r"TF\.js lacks: MatrixDiagV3"):
        export_model(model_of(patches), "float32")


def test_a_loop_is_refused(keras: Any, export_model: ExportModel):
    def recurrent(x: Any) -> Any:
        return keras.layers.GRU(4)(keras.layers.Reshape((16, 192))(x))

    with pytest.raises(PupilaError, match="a loop, as recurrent layers have"):
        export_model(model_of(recurrent), "float32")


@pytest.mark.long
@pytest.mark.parametrize("name", ["efficientnet_lite0.keras", "squeezenet.keras"])
def test_a_teacher_runs_on_wasm_as_in_keras(
    shared_teachers: Path, keras: Any, export_model: ExportModel, name: str
):
    model = keras.saving.load_model(shared_teachers / name, compile=False)
    images = np.random.default_rng(2).integers(0, 256, (2, *model.input_shape[1:]), np.uint8)
    runtime, outputs = predict(export_model(model, "float32"), images)
    assert "wasm backend" in runtime
    np.testing.assert_allclose(
        outputs, model.predict(images.astype(np.float32), verbose=0), atol=1e-4
    )


class TestExportTfjsKeepsTheContract(ExporterContract):
    plugin = "export-tfjs"
