"""The student `plain-s`: its weights can be averaged as they are.

It has no batch normalisation, whose moving averages belong to the weights that they were measured
with: those of averaged weights would have to be measured again.
"""

from __future__ import annotations

from typing import Any

from pupila import InputSpec
from pupila.keras_files import import_keras

keras = import_keras()
layers = keras.layers

_FILTERS = (16, 32, 64, 128)


def build(input: InputSpec, classes: int) -> Any:
    """Return a model from raw RGB `(batch, height, width, 3)` in 0..255 to logits."""
    image = keras.Input(input.shape, name="image")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
    for number, filters in enumerate(_FILTERS, start=1):
        x = layers.Conv2D(
            filters,
            3,
            strides=2,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"conv_{number}",
        )(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x))
