"""A teacher for the synthetic images: a plain convolutional net, much larger than any pupil."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pupila import Dataset, InputSpec, Progress, keras_files

_INPUT = InputSpec(height=96, width=96)
_FILTERS = (24, 48, 96, 192, 256)
_HIDDEN = 256
_EPOCHS = 24
_BATCH_IMAGES = 16
_LEARNING_RATE = 1e-3


def write_teacher(data: Dataset, path: Path, seed: int, progress: Progress) -> None:
    """Train a teacher on the split `train`, and write it as a Keras 3 file.

    The teacher takes raw RGB 0..255, 96 pixels a side, and has 1.3 million parameters. It ends in a
    softmax with one column for each class, in the order of `data.classes`. Training keeps all
    images in memory. The file appears complete or not at all.

    Raises:
        PupilaError: the data has no split `train`.
    """
    images = data.select("train")
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(seed)
    model = _build(keras, len(data.classes))
    _fit(keras, model, images, progress)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as scratch:
        keras_files.save(model, Path(scratch))
        (Path(scratch) / keras_files.MODEL_NAME).replace(path)


def _build(keras: Any, classes: int) -> Any:
    """Build five strided convolutions and a dense head, which can read the cup-to-disc ratio."""
    layers = keras.layers
    inputs = keras.Input(_INPUT.shape, name="image")
    features = layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(inputs)
    for number, filters in enumerate(_FILTERS, start=1):
        features = _block(layers, features, filters, name=f"block{number}")
    features = layers.Flatten(name="flatten")(features)
    features = layers.Dropout(0.3, name="dropout")(features)
    features = layers.Dense(_HIDDEN, activation="relu", name="hidden")(features)
    outputs = layers.Dense(classes, activation="softmax", name="probabilities")(features)
    return keras.Model(inputs, outputs, name="synthetic_teacher")


def _block(layers: Any, features: Any, filters: int, name: str) -> Any:
    convolution = layers.Conv2D(
        filters, 3, strides=2, padding="same", use_bias=False, name=f"{name}_conv"
    )
    # a run has under a thousand steps: the default momentum, 0.99, would lag behind
    normalization = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")
    return layers.ReLU(name=f"{name}_relu")(normalization(convolution(features)))


def _fit(keras: Any, model: Any, images: Dataset, progress: Progress) -> None:
    """Train the weights of `model` with Adam on a cosine schedule, on flipped, shifted images."""
    layers = keras.layers
    augmented = keras.Sequential(
        [
            layers.RandomFlip("horizontal_and_vertical"),
            layers.RandomTranslation(0.06, 0.06, fill_mode="nearest"),
            model,
        ]
    )
    steps = _EPOCHS * -(-len(images) // _BATCH_IMAGES)
    schedule = keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, steps)
    augmented.compile(
        optimizer=keras.optimizers.Adam(schedule), loss="sparse_categorical_crossentropy"
    )

    def report(epoch: int, logs: dict[str, float]) -> None:
        del logs
        progress(epoch + 1, _EPOCHS, "epochs of the teacher")

    augmented.fit(
        np.asarray(images.pixels(_INPUT)),
        images.labels,
        batch_size=_BATCH_IMAGES,
        epochs=_EPOCHS,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=report)],
        verbose=0,
    )
