"""The border to Keras 3: reads and writes `keras` artifacts, and silences TensorFlow.

Keras and TensorFlow are imported inside functions only, so that listing plugins stays fast.
"""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from pupila.artifact import Artifact

MODEL_NAME = "model.keras"


def import_keras() -> Any:
    """Import Keras on TensorFlow without its start-up chatter."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    return import_module("keras")


def load(artifact: Artifact) -> Any:
    """Return the `keras.Model` of an artifact of format `keras`, not compiled."""
    keras = import_keras()
    return keras.saving.load_model(artifact.path / MODEL_NAME, compile=False, safe_mode=True)


def save(model: Any, folder: Path) -> None:
    """Write a `keras.Model` as the model file of a `keras` artifact, without optimizer state."""
    model.save(folder / MODEL_NAME, include_optimizer=False)


def parameters(model: Any) -> int:
    """Return the number of weights, trainable or not."""
    return int(model.count_params())


def macs(model: Any) -> int:
    """Return the multiply-accumulates of one image: convolutions and dense layers.

    Raises:
        ValueError: a layer's shapes are not known (the model is not built, or sizes are open).
    """
    keras = import_keras()
    return sum(_layer_macs(keras, layer) for layer in _leaves(keras, model))


def _leaves(keras: Any, model: Any) -> list[Any]:
    """Return all layers, those of nested models too, each once."""
    layers: list[Any] = []
    for layer in model.layers:
        layers += _leaves(keras, layer) if isinstance(layer, keras.Model) else [layer]
    return layers


def _layer_macs(keras: Any, layer: Any) -> int:
    """Multiply-accumulates: each kernel entry is used once per output position."""
    layers = keras.layers
    if isinstance(layer, layers.SeparableConv2D):
        positions = _positions(layer.output)
        return positions * (_size(layer.depthwise_kernel) + _size(layer.pointwise_kernel))
    if isinstance(layer, layers.Conv2DTranspose):
        return _positions(layer.input) * _size(layer.kernel)
    if isinstance(layer, layers.DepthwiseConv2D | layers.Conv2D):
        return _positions(layer.output) * _size(layer.kernel)
    if isinstance(layer, layers.Dense):
        return _size(layer.kernel)
    return 0


def _positions(tensor: Any) -> int:
    """Rows times columns of a channels-last feature map."""
    _, rows, columns, _ = tensor.shape
    if rows is None or columns is None:
        raise ValueError(f"the size of {tensor.name} is not fixed")
    return int(rows) * int(columns)


def _size(weight: Any) -> int:
    size = 1
    for length in weight.shape:
        size *= int(length)
    return size
