"""Finds the features of a classifier: the input of its last layer with weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import PupilaError
from pupila.keras_files import import_keras
from pupila.keras_graphs import Calls, inputs_of

keras = import_keras()
layers = keras.layers


@dataclass(frozen=True)
class Penultimate:
    """The features of a model, and the weights of the layer that makes logits from them."""

    image: Any
    """Input of the model."""
    output: Any
    """Output of the model."""
    read: Any
    """Input of the last layer with weights, as a vector `(batch, features)`. If the layer reads a
    feature map, this is the mean over its positions."""
    kernel: NDArray[np.float64]
    """Weights W of that layer, `(features, logits)`."""

    @property
    def features(self) -> Any:
        """The features that the last layer with weights reads, without dropout.

        The features are `read` itself or, if `read` is the output of a dropout layer, the input of
        the dropout layer.
        """
        operation = _made_by(self.read)
        return inputs_of(self.read)[0] if isinstance(operation, layers.Dropout) else self.read


def penultimate(model: Any) -> Penultimate:
    """Find the last dense layer or 1x1 convolution of a model, and its input.

    Layers without weights may follow this layer: a softmax, or, in SqueezeNet, a mean over
    positions. If the layer is a convolution, the features are the mean of its input over positions.

    Raises:
        PupilaError: the model is not a graph of layers, or its last layer with weights is not a
            dense layer or a 1x1 convolution.
    """
    calls = Calls(model)
    given = calls.output
    while not _makes_logits(_made_by(given)):
        given = _behind(model, given)
    layer, (read,) = _made_by(given), inputs_of(given)
    if len(read.shape) > 2:
        read = keras.ops.mean(read, axis=(1, 2))
    kernel = np.asarray(layer.kernel, np.float64).reshape(-1, layer.kernel.shape[-1])
    return Penultimate(calls.image, calls.output, read, kernel)


def _makes_logits(operation: Any) -> bool:
    if isinstance(operation, layers.Dense):
        return True
    is_convolution = isinstance(operation, layers.Conv2D)
    return is_convolution and operation.kernel_size == (1, 1) and operation.groups == 1


def _behind(model: Any, given: Any) -> Any:
    """Return the only input of the layer that made the tensor `given`.

    Raises:
        PupilaError: the layer reads several tensors, or has weights.
    """
    operation, read = _made_by(given), inputs_of(given)
    if len(read) != 1 or getattr(operation, "weights", ()):
        raise PupilaError(
            f"The model {model.name!r} ends in {operation.name!r} ({type(operation).__name__}), "
            f"where a dense layer or a 1x1 convolution that gives the logits was expected, so its "
            f"features cannot be found: use `distill`, which learns from answers alone."
        )
    return read[0]


def _made_by(given: Any) -> Any:
    return given._keras_history.operation
