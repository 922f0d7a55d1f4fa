"""The scaling of pixels outside a model is built into it, whatever its graph is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from pupila import Artifact, OutputSpec, installed, keras_files
from pupila.artifact import Origin
from pupila.pixel_scaling import scaling_of
from pupila.predictions import open_model
from pupila.runtime import ignore_progress
from pupila.store import Store
from pupila.testing.converting import converted

PREPROCESSES = ["scale", "center", "imagenet", "caffe"]
LOGITS = OutputSpec(kind="logits", classes=("ill", "well"))
IMAGES = np.random.default_rng(1).integers(0, 256, (5, 16, 20, 3), np.uint8)
IMAGES[1:, ..., 0] //= 3  # so that pictures differ in colour


def ending(library: Any, x: Any) -> Any:
    layers = library.layers
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, 2, activation="relu", name="conv")(x))
    return layers.Dense(2)(x)


def functional(library: Any) -> Any:
    image = library.layers.Input((16, 20, 3))
    padded = library.layers.ZeroPadding2D(2)(image)
    return library.Model(image, ending(library, padded))


def sequential(library: Any) -> Any:
    layers = library.layers
    return library.Sequential(
        [
            layers.InputLayer((16, 20, 3)),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2),
        ]
    )


def nested(library: Any) -> Any:
    image, inner_image = (library.layers.Input((16, 20, 3)) for _ in range(2))
    x = library.layers.Conv2D(6, 3, padding="same", name="conv")(inner_image)
    inner = library.Model(inner_image, x, name="backbone")
    return library.Model(image, library.layers.Dense(2)(library.layers.Flatten()(inner(image))))


def branching(library: Any) -> Any:
    image = library.layers.Input((16, 20, 3))
    both = library.layers.Concatenate()([image, library.layers.Conv2D(3, 3, padding="same")(image)])
    return library.Model(image, ending(library, both))


def depthwise(library: Any) -> Any:
    image = library.layers.Input((16, 20, 3))
    return library.Model(image, ending(library, library.layers.DepthwiseConv2D(3)(image)))


def shared(library: Any) -> Any:
    image = library.layers.Input((16, 20, 3))
    conv = library.layers.Conv2D(3, 3, padding="same", name="shared")
    return library.Model(image, ending(library, conv(conv(image))))


GRAPHS = [shared, functional, sequential, nested, branching, depthwise]
CONVOLUTIONS_KEPT = {functional, sequential, nested}
"""Models in which the channels are swapped without a layer for it."""


def stored(source: Path, preprocess: str, folder: Path) -> Artifact:
    loader, store = installed().loader(source), Store(folder / "store")
    with store.draft() as draft:
        result = loader.load()(source, LOGITS, draft, scaling_of(preprocess))
        origin = Origin(plugin=loader.name, distribution="pupila-keras", version="0")
        return store.add(draft, origin=origin, **vars(result))


def answers(artifact: Artifact) -> np.ndarray:
    model = open_model(artifact)
    outputs = model.predict(IMAGES, ignore_progress)
    model.close()
    return outputs


def expected(model: Any, preprocess: str) -> np.ndarray:
    scaling = scaling_of(preprocess)
    assert scaling
    return np.asarray(model(scaling(IMAGES), training=False))


def different(outputs: np.ndarray) -> bool:
    return np.ptp(outputs, axis=0).max() > 0.01


@pytest.mark.parametrize("preprocess", PREPROCESSES)
@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "keras2"])
@pytest.mark.parametrize("build", GRAPHS)
def test_a_model_answers_raw_pixels_as_it_did_scaled_ones(
    build: Callable[[Any], Any], library: Any, preprocess: str, tmp_path: Path
):
    keras.utils.set_random_seed(3)
    model = build(library)
    source = tmp_path / f"model.{'keras' if library is keras else 'h5'}"
    model.save(source)
    artifact = stored(source, preprocess, tmp_path)
    assert different(answers(artifact))
    np.testing.assert_allclose(answers(artifact), expected(model, preprocess), rtol=1e-4, atol=1e-4)
    names = [layer.name for layer in keras_files.load(artifact).layers]
    assert "preprocess" in names
    swaps = preprocess == "caffe" and build not in CONVOLUTIONS_KEPT
    assert ("swap_channels" in names) == swaps


def test_a_model_with_layers_of_the_same_names_gets_others(tmp_path: Path):
    image = keras.Input((16, 20, 3))
    x = keras.layers.Rescaling(2.0, name="preprocess")(image)
    model = keras.Model(image, ending(keras, x))
    model.save(tmp_path / "model.keras")
    artifact = stored(tmp_path / "model.keras", "scale", tmp_path)
    names = [layer.name for layer in keras_files.load(artifact).layers]
    assert names[1:3] == ["preprocess_1", "preprocess"]


@pytest.mark.parametrize("preprocess", PREPROCESSES)
@pytest.mark.parametrize("batch", [None, 1])
def test_a_savedmodel_answers_raw_pixels_as_it_did_scaled_ones(
    batch: int | None, preprocess: str, tmp_path: Path
):
    model = functional(keras)
    spec = keras.InputSpec(shape=(batch, 16, 20, 3), dtype="float32", name="image")
    model.export(tmp_path / "saved", verbose=False, input_signature=[spec])
    artifact = stored(tmp_path / "saved", preprocess, tmp_path)
    assert different(answers(artifact))
    np.testing.assert_allclose(answers(artifact), expected(model, preprocess), rtol=1e-4, atol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("format", ["tflite", "tfjs", "onnx"])
@pytest.mark.parametrize("build", [functional, branching])
def test_exports_answer_alike(build: Callable[[Any], Any], format: str, tmp_path: Path):
    model = build(keras)
    model.save(tmp_path / "model.keras")
    artifact = stored(tmp_path / "model.keras", "caffe", tmp_path)
    export = converted(artifact, frozenset({format}), Store(tmp_path / "store"), tmp_path / "made")
    np.testing.assert_allclose(answers(export), expected(model, "caffe"), rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_a_savedmodel_with_scaling_is_exported(tmp_path: Path):
    module: Any = tf.Module()
    module.answer = tf.function(
        lambda image: tf.reduce_mean(image, axis=[1, 2])[:, :2],
        input_signature=[tf.TensorSpec((None, 16, 20, 3), tf.float32)],
    )
    tf.saved_model.save(module, str(tmp_path / "saved"), {"serving_default": module.answer})
    artifact = stored(tmp_path / "saved", "center", tmp_path)
    export = converted(
        artifact, frozenset({"tflite"}), Store(tmp_path / "store"), tmp_path / "made"
    )
    np.testing.assert_allclose(answers(export), answers(artifact), atol=1e-5)
