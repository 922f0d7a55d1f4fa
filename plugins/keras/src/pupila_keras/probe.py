"""Runs a model on a few fixed random images, to check its outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila_keras.reading import library_errors

_IMAGES = 4


def draw_probes(height: int, width: int) -> NDArray[np.float32]:
    """Return four random images, float32 `(4, height, width, 3)` in 0..255.

    The images are the same in each call. They differ in brightness, so that a model's outputs
    differ too.
    """
    random = np.random.default_rng(20240229)
    brightness = np.linspace(64, 255, _IMAGES)[:, None, None, None]
    return (random.random((_IMAGES, height, width, 3)) * brightness).astype(np.float32)


def predict_probes(model: Any) -> NDArray[np.float32]:
    """Return a Keras 2 or 3 model's raw outputs `(4, columns)` for the images of `draw_probes`.

    Raises:
        PupilaError: the model cannot process the images.
    """
    _, height, width, _ = model.inputs[0].shape
    with library_errors("it cannot process an image"):
        return np.asarray(model(draw_probes(height, width), training=False), np.float32)
