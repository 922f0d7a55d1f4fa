"""Models that hold what only training needs, or what Keras cannot read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras

from pupila import Artifact, PupilaError, keras_files
from pupila.predictions import open_model
from pupila.runtime import ignore_progress
from pupila.store import Store
from pupila.testing.converting import converted

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 16, 20, 3), np.uint8)


def ending(library: Any, x: Any) -> Any:
    layers = library.layers
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="relu")(x))
    return layers.Dense(2, activation="softmax")(x)


def answers(artifact: Artifact) -> Any:
    model = open_model(artifact)
    outputs = model.predict(IMAGES, ignore_progress)
    model.close()
    return outputs


def augmented(library: Any, *augmentations: Any) -> Any:
    layers = library.layers
    image = layers.Input((16, 20, 3))
    inner = library.Sequential([layers.InputLayer((16, 20, 3)), *augmentations], name="augment")
    x = layers.RandomFlip("horizontal")(inner(image))
    return library.Model(image, ending(library, layers.Rescaling(1 / 255)(x)))


@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "keras2"])
def test_layers_that_alter_images_at_random_are_taken_out(
    library: Any, tmp_path: Path, import_model: Any
):
    layers = library.layers
    model = augmented(library, layers.RandomRotation(0.1), layers.RandomZoom(0.2))
    source = tmp_path / f"model.{'keras' if library is keras else 'h5'}"
    model.save(source)
    artifact = import_model(source)
    names = {type(layer).__name__ for layer in keras_files.load(artifact)._flatten_layers()}
    assert not any(name.startswith("Random") for name in names)
    expected = np.asarray(model(IMAGES.astype(np.float32), training=False))
    np.testing.assert_allclose(answers(artifact), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["tflite", "tfjs"])
def test_a_model_with_augmentation_inside_is_exported(
    format: str, tmp_path: Path, import_model: Any
):
    layers = keras.layers
    model = augmented(keras, layers.RandomContrast(0.3), layers.RandomTranslation(0.1, 0.1))
    model.save(tmp_path / "model.keras")
    artifact = import_model(tmp_path / "model.keras")
    store = Store(tmp_path / "exports")
    export = converted(artifact, frozenset({format}), store, tmp_path / "made")
    np.testing.assert_allclose(answers(export), answers(artifact), atol=1e-5)


def test_metrics_of_a_nested_model_are_left_out(tmp_path: Path, import_model: Any):
    def f1(truth: Any, answer: Any) -> Any:
        del truth
        return keras.ops.mean(answer)

    inner_image, image = keras.Input((16, 20, 3)), keras.Input((16, 20, 3))
    inner = keras.Model(inner_image, ending(keras, keras.layers.Rescaling(1 / 255)(inner_image)))
    inner.compile("adam", "mse", metrics=[f1])
    model = keras.Model(image, inner(image))
    model.save(tmp_path / "nested.keras")
    expected = np.asarray(model(IMAGES.astype(np.float32), training=False))
    artifact = import_model(tmp_path / "nested.keras")
    np.testing.assert_allclose(answers(artifact), expected, atol=1e-5)
    assert b"f1" not in (artifact.path / "model.keras").read_bytes()


def test_an_operation_in_an_h5_file_of_keras_3_is_refused_with_what_to_do(
    tmp_path: Path, import_model: Any
):
    image: Any = keras.Input((16, 20, 3))
    model = keras.Model(image, ending(keras, image / 127.5 - 1))
    model.save(tmp_path / "model.h5")
    with pytest.raises(PupilaError, match="TrueDivide, which Keras 3 writes"):
        import_model(tmp_path / "model.h5")
    model.save(tmp_path / "model.keras")
    expected = np.asarray(model(IMAGES.astype(np.float32), training=False))
    artifact = import_model(tmp_path / "model.keras")
    np.testing.assert_allclose(answers(artifact), expected, atol=1e-5)


def test_a_savedmodel_whose_answers_are_random_is_refused(tmp_path: Path, import_model: Any):
    augmented(keras, keras.layers.RandomContrast(0.8)).export(tmp_path / "saved", verbose=False)
    with pytest.raises(PupilaError, match="otherwise when it is asked again"):
        import_model(tmp_path / "saved")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("library", [keras, tf_keras], ids=["keras3", "keras2"])
def test_a_model_of_mixed_precision_is_read_in_float32(
    library: Any, policy: str, tmp_path: Path, import_model: Any
):
    layers = library.layers
    library.mixed_precision.set_global_policy(policy)
    try:
        image = layers.Input((16, 20, 3))
        x = ending(library, layers.BatchNormalization()(layers.Rescaling(1 / 255)(image)))
        model = library.Model(image, layers.Activation("linear", dtype="float32")(x))
    finally:
        library.mixed_precision.set_global_policy("float32")
    source = tmp_path / f"model.{'keras' if library is keras else 'h5'}"
    model.save(source)
    artifact = import_model(source)
    policies = {str(layer.compute_dtype) for layer in keras_files.load(artifact)._flatten_layers()}
    assert policies == {"float32"}
    expected = np.asarray(model(IMAGES.astype(np.float32), training=False))
    np.testing.assert_allclose(answers(artifact), expected, atol=0.01)
