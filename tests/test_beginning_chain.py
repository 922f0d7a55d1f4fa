"""A beginning of a teacher goes through pruning, export and quantisation as any student does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pupila import Artifact, Dataset, InputSpec, installed
from pupila.keras_files import import_keras
from pupila.store import Store
from pupila.testing import colour_dataset, run_step, store_model

keras = import_keras()
layers = keras.layers


def trained_teacher(images: Dataset) -> Any:
    """Return an inverted residual that was trained on the images."""
    keras.utils.set_random_seed(0)

    def normalised(x: Any, number: int) -> Any:
        return layers.BatchNormalization(momentum=0.8, name=f"norm_{number}")(x)

    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same")(layers.Rescaling(1 / 255)(image))
    shortcut = layers.ReLU(6.0)(normalised(x, 1))
    x = layers.ReLU(6.0)(normalised(layers.Conv2D(16, 1)(shortcut), 2))
    x = layers.ReLU(6.0)(normalised(layers.DepthwiseConv2D(3, padding="same")(x), 3))
    x = layers.Add(name="add")([normalised(layers.Conv2D(8, 1)(x), 4), shortcut])
    answer = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, answer)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    chosen = images.select("train")
    pixels = np.asarray(chosen.pixels(InputSpec(height=32, width=32)), np.float32)
    model.fit(pixels, chosen.labels, epochs=40, verbose=0)
    return model


@pytest.mark.long
def test_a_beginning_is_pruned_exported_and_quantised(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    images = colour_dataset(tmp_path)

    def run(use: str, given: Artifact, **settings: Any) -> Artifact:
        plugin = installed().step(use)
        config = plugin.config.model_validate(settings)
        return run_step(
            plugin, config, [given], tmp_path / use, store=store, dataset=images
        ).artifact

    teacher = store_model(store, trained_teacher(images), images.classes)
    student = {"from": "teacher", "until": "add", "head": 16}
    training = {"epochs": 2, "batch_size": 8, "augmentation": {"views": 2}}
    pupil = run("distill", teacher, student=student, size=48, **training)
    assert pupil.record.input == InputSpec(height=48, width=48)
    pruned = run("prune-filters", pupil)
    assert (pruned.record.parameters or 0) < (pupil.record.parameters or 0)
    flat = run("quantize-int8", run("export-tflite", pruned))
    assert flat.format == "tflite"
