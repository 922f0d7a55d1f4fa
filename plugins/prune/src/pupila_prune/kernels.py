"""Finds the kernels of a model: the weights that are pruned one by one, or clustered.

Convolutions (plain, grouped, dilated, transposed, depthwise, separable) and dense layers have
kernels. The last layer is included, as with `tfmot.sparsity.keras.prune_low_magnitude` of a whole
model. Biases and the weights of normalisations are never pruned: they are few, and each of them
affects a whole channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import PupilaError
from pupila.keras_files import import_keras, parameters

keras = import_keras()
layers = keras.layers

_NAMES = ("kernel", "depthwise_kernel", "pointwise_kernel")


@dataclass(frozen=True)
class Kernel:
    """One kernel of a model: the layer, and the variable with the weights."""

    layer: Any
    variable: Any

    @property
    def name(self) -> str:
        """Names of the layer and of the variable, such as `conv_1/kernel`."""
        return f"{self.layer.name}/{self.variable.name}"

    @property
    def values(self) -> NDArray[np.float32]:
        """A copy of the weights, in Keras' shape."""
        return np.array(self.variable.value)

    @property
    def is_depthwise(self) -> bool:
        """Whether the convolution is depthwise: each output reads only one channel."""
        depthwise = isinstance(self.layer, layers.DepthwiseConv2D)
        return depthwise or self.variable.name == "depthwise_kernel"

    @property
    def output_axis(self) -> int:
        """Axis of the output channels. Not valid for depthwise kernels."""
        return -2 if isinstance(self.layer, layers.Conv2DTranspose) else -1


def kernels_of(model: Any) -> list[Kernel]:
    """Return the kernels of a flat model in the order of its layers.

    Raises:
        PupilaError: the model has no kernels.
    """
    kinds = (layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D)
    kernels = [
        Kernel(layer, weight)
        for layer in model.layers
        if isinstance(layer, (*kinds, layers.SeparableConv2D, layers.Dense))
        for weight in layer.weights
        if weight.name in _NAMES
    ]
    if not kernels:
        raise PupilaError(
            f"The model {model.name!r} has no kernel of a convolution or a dense layer, and only "
            f"these are pruned and clustered. Give a model that has some."
        )
    return kernels


def clustered_kernels(model: Any) -> list[Kernel]:
    """Return the kernels that are clustered: all but the depthwise kernels.

    Raises:
        PupilaError: all kernels are depthwise, or the model has no kernels.
    """
    kernels = [kernel for kernel in kernels_of(model) if not kernel.is_depthwise]
    if not kernels:
        raise PupilaError(
            f"All kernels of the model {model.name!r} are depthwise, and these are not clustered. "
            f"Give a model with other convolutions or dense layers."
        )
    return kernels


def count_zeros(model: Any) -> int:
    """Return the number of kernel weights that are 0."""
    return sum(int((kernel.values == 0).sum()) for kernel in kernels_of(model))


def sparsity(model: Any) -> float:
    """Return the fraction of all kernel weights that are 0."""
    return count_zeros(model) / sum(prod(kernel.variable.shape) for kernel in kernels_of(model))


def nonzero_parameters(model: Any) -> int:
    """Return the number of parameters, not counting kernel weights that are 0."""
    return parameters(model) - count_zeros(model)


def sparsity_by_kernel(model: Any) -> dict[str, float]:
    """Return the fraction of each kernel's weights that are 0, by the kernel's name."""
    return {kernel.name: float((kernel.values == 0).mean()) for kernel in kernels_of(model)}
