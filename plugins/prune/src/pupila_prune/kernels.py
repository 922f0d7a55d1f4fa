"""The weights that are cut one by one, or made to share values: kernels.

These are the kernels of convolutions (plain, grouped, dilated, transposed, depthwise, separable)
and of dense layers, the last one, which gives the answers, among them, as
`tfmot.sparsity.keras.prune_low_magnitude` does with a whole model. Biases and what normalises have
few entries, and each matters to a whole channel: they stay.
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
    """One kernel of a model."""

    layer: Any
    variable: Any

    @property
    def name(self) -> str:
        """Layer and variable, as in `conv_1/kernel`."""
        return f"{self.layer.name}/{self.variable.name}"

    @property
    def values(self) -> NDArray[np.float32]:
        """A copy of the weights, in the shape that Keras gives them."""
        return np.array(self.variable.value)

    @property
    def is_depthwise(self) -> bool:
        """Whether each output reads one channel only."""
        depthwise = isinstance(self.layer, layers.DepthwiseConv2D)
        return depthwise or self.variable.name == "depthwise_kernel"

    @property
    def output_axis(self) -> int:
        """Axis of the outputs, in a kernel that is not depthwise."""
        return -2 if isinstance(self.layer, layers.Conv2DTranspose) else -1


def kernels_of(model: Any) -> list[Kernel]:
    """Return the kernels of a flat model in the order of its layers.

    Raises:
        PupilaError: it has none.
    """
    kinds = (layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D)
    found = [
        Kernel(layer, weight)
        for layer in model.layers
        if isinstance(layer, (*kinds, layers.SeparableConv2D, layers.Dense))
        for weight in layer.weights
        if weight.name in _NAMES
    ]
    if not found:
        raise PupilaError(
            f"The model {model.name!r} has no kernel of a convolution or a dense layer, and only "
            f"these are pruned and clustered. Give a model that has some."
        )
    return found


def clustered_kernels(model: Any) -> list[Kernel]:
    """Return the kernels whose weights may share values: see `pupila_prune.clusters`.

    Raises:
        PupilaError: there are none.
    """
    found = [kernel for kernel in kernels_of(model) if not kernel.is_depthwise]
    if not found:
        raise PupilaError(
            f"All kernels of the model {model.name!r} are depthwise, and these are not clustered. "
            f"Give a model with other convolutions or dense layers."
        )
    return found


def zeros(model: Any) -> int:
    """Return how many entries of kernels are 0."""
    return sum(int((kernel.values == 0).sum()) for kernel in kernels_of(model))


def sparsity(model: Any) -> float:
    """Return the part of all entries of kernels that is 0."""
    return zeros(model) / sum(prod(each.variable.shape) for each in kernels_of(model))


def nonzero_parameters(model: Any) -> int:
    """Return the parameters that are not a 0 in a kernel."""
    return parameters(model) - zeros(model)


def sparsity_by_kernel(model: Any) -> dict[str, float]:
    """Return the part of the entries of each kernel that is 0."""
    return {each.name: float((each.values == 0).mean()) for each in kernels_of(model)}
