"""Small models that contain models, as in transfer learning, and pictures to run them on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila.keras_files import import_keras

keras = import_keras()
layers = keras.layers


def pictures(height: int = 32, width: int = 32, images: int = 3) -> NDArray[np.float32]:
    """Return pictures of noise `(images, height, width, 3)`, 0..255."""
    return np.random.default_rng(0).integers(0, 256, (images, height, width, 3)).astype(np.float32)


def functional(
    body: Callable[[Any], Any], height: int = 32, width: int = 32, name: str | None = None
) -> Any:
    """Return a functional model that takes one picture and gives `body(picture)`."""
    image = keras.Input((height, width, 3))
    return keras.Model(image, body(image), name=name)


def backbone(name: str = "backbone") -> Any:
    """Return a model with two convolutions, one of them in a nested model."""

    def body(x: Any) -> Any:
        x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(x)
        x = layers.BatchNormalization(name="norm")(x)
        x = keras.Sequential(
            [keras.Input((16, 16, 4)), layers.DepthwiseConv2D(3, 2, name="depthwise")], name="inner"
        )(x)
        return keras.ops.relu(x)

    return functional(body, name=name)


def outer_functional() -> Any:
    """Return a functional model around a backbone whose normalisation is frozen."""

    def body(image: Any) -> Any:
        x = layers.Rescaling(1 / 255, name="scale")(image)
        x = backbone()(x, training=False)
        x = layers.Conv2D(6, 3, name="conv")(x)
        return layers.Dense(2, name="answer")(layers.GlobalAveragePooling2D(name="pool")(x))

    return functional(body)


def outer_sequential() -> Any:
    """Return a Sequential model around a backbone."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            backbone(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="answer"),
        ]
    )


def twice_called() -> Any:
    """Return a model that calls one backbone twice and a second backbone once.

    The layers of both backbones have the same names.
    """
    shared, other = backbone("first"), backbone("second")

    def body(image: Any) -> Any:
        turned = keras.ops.flip(image, axis=2)
        maps = [shared(image), shared(turned), other(image)]
        return layers.Dense(2)(layers.GlobalAveragePooling2D()(layers.Concatenate()(maps)))

    return functional(body)
