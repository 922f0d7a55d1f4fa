"""Rewrites a flat model (without nested models) to use only layers that have int8 counterparts.

The outputs do not change. Batch normalisation is folded into the convolution before it,

    γ (w * x + b - μ) / √(σ² + ε) + β  =  (w γ/√(σ² + ε)) * x + ((b - μ) γ/√(σ² + ε) + β)

as in Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3.2. μ and σ² are the moving statistics, which stay
fixed because the training is short. Batch normalisation with no convolution before it becomes a
1 × 1 depthwise convolution. Each activation becomes a layer of its own, and a separable convolution
becomes two layers. Layers that act only in training, such as dropout, are left out: they would
widen the ranges of the activations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pupila import PupilaError
from pupila_quantize.bridge import Preprocessing, import_tf_keras

tf_keras = import_tf_keras()
layers = tf_keras.layers

Call = Callable[..., Any]
"""Takes a layer and its new inputs; returns the tensor that replaces the layer's output."""
Begin = Callable[[Any], Any]
"""Takes the new model's input; returns the tensor that the first layers read."""

PREPROCESSING = "preprocessing"
"""Name of the layer that does the preprocessing: the first layer of a rewritten model."""

_TRAINING_ONLY = (
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.GaussianNoise,
    layers.GaussianDropout,
    layers.ActivityRegularization,
)
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
"""Convolution layers. Transposed convolutions are included, as they are subclasses of Conv2D."""

_ACTIVATED = (*CONVOLUTIONS, layers.Dense)
"""Layers with a built-in activation."""


def lower(flat: Any, preprocessing: Preprocessing | None = None) -> Any:
    """Return a flat model rewritten for int8; `preprocessing` becomes its first layer, if given.

    Raises:
        PupilaError: batch normalisation is along an axis other than the last.
    """
    rewriting = _Rewriting(preprocessing)
    image, output = walk(flat, rewriting.call, rewriting.begin)
    rewriting.set_weights()
    return tf_keras.Model(image, output, name=flat.name)


def walk(model: Any, call: Call, begin: Begin = lambda image: image) -> tuple[Any, Any]:
    """Rebuild a flat model's graph with replaced layers; return the new input and output tensors.

    `call` takes a layer and its input tensors, and returns the tensor that replaces the layer's
    output. `begin` takes the new model's input, and returns the tensor that the first layers read.
    """
    (original,) = model.inputs
    image = tf_keras.Input(batch_shape=original.shape, dtype=original.dtype, name="image")
    tensors = {id(original): begin(image)}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not isinstance(node.layer, layers.InputLayer):
                (arguments,) = [_substitute(argument, tensors) for argument in node.call_args]
                tensors[id(node.outputs)] = call(node.layer, arguments)
    return image, tensors[id(model.outputs[0])]


def consumers(layer: Any) -> list[Any]:
    """Return the layers that read a layer's output; a layer that reads it twice appears twice."""
    return [node.layer for node in layer._outbound_nodes]


def sole_consumer(layer: Any) -> Any:
    """Return the only layer that reads a layer's output; None if no layer or several read it."""
    readers = consumers(layer)
    return readers[0] if len(readers) == 1 and len(layer._inbound_nodes) == 1 else None


def _substitute(argument: Any, tensors: dict[int, Any]) -> Any:
    if isinstance(argument, list | tuple):
        return [tensors[id(tensor)] for tensor in cast("Sequence[Any]", argument)]
    return tensors[id(argument)]


class _Rewriting:
    """Makes the new layers and records their weights."""

    def __init__(self, preprocessing: Preprocessing | None) -> None:
        self._preprocessing = preprocessing
        self._made: dict[int, list[Any]] = {}
        self._weights: list[tuple[Any, list[NDArray[np.float32]]]] = []
        self._folded: set[int] = set()

    def begin(self, image: Any) -> Any:
        if self._preprocessing is None:
            return image
        matrix, offset = self._preprocessing.matrix, self._preprocessing.offset
        layer = layers.Conv2D(len(offset), 1, name=PREPROCESSING, trainable=False)
        self._weights.append((layer, [matrix[np.newaxis, np.newaxis], offset]))
        return layer(image)

    def call(self, layer: Any, arguments: Any) -> Any:
        if id(layer) in self._folded or isinstance(layer, _TRAINING_ONLY):
            return arguments
        if id(layer) not in self._made:
            self._made[id(layer)] = self._replacements(layer)
        for replacement in self._made[id(layer)]:
            arguments = replacement(arguments)
        return arguments

    def set_weights(self) -> None:
        for layer, weights in self._weights:
            layer.set_weights(weights)

    def _replacements(self, layer: Any) -> list[Any]:
        """Return the layers that replace a layer, in the order in which they are called."""
        if isinstance(layer, layers.BatchNormalization):
            return self._normalisation(layer)
        if isinstance(layer, layers.Activation):
            return _activation(layer.activation, layer.name)
        if not isinstance(layer, _ACTIVATED):
            return [self._copy(layer, layer.get_weights())]
        activation = _activation(layer.activation, f"{layer.name}_activation")
        following = sole_consumer(layer)
        fold = isinstance(following, layers.BatchNormalization) and not activation
        fold = fold and len(following._inbound_nodes) == 1
        if fold:
            self._folded.add(id(following))
        scale, shift = _affine(following) if fold else (None, None)
        return [*self._linear(layer, scale, shift), *activation]

    def _linear(self, layer: Any, scale: Any, shift: Any) -> list[Any]:
        """Return a layer without its activation, with output times `scale` plus `shift`."""
        *kernels, bias = layer.get_weights() if layer.use_bias else [*layer.get_weights(), None]
        if scale is not None:
            kernels[-1] = kernels[-1] * _along_outputs(layer, kernels[-1], scale)
            bias = shift if bias is None else bias * scale + shift
        if isinstance(layer, layers.SeparableConv2D):
            return self._split_separable(layer, kernels, bias)
        weights = kernels if bias is None else [*kernels, bias]
        changes = {"activation": "linear", "use_bias": bias is not None}
        return [self._copy(layer, weights, **changes)]

    def _split_separable(self, layer: Any, kernels: Any, bias: Any) -> list[Any]:
        depthwise = layers.DepthwiseConv2D(
            layer.kernel_size,
            layer.strides,
            layer.padding,
            depth_multiplier=layer.depth_multiplier,
            dilation_rate=layer.dilation_rate,
            use_bias=False,
            name=f"{layer.name}_depthwise",
        )
        pointwise = layers.Conv2D(layer.filters, 1, use_bias=bias is not None, name=layer.name)
        self._weights.append((depthwise, [kernels[0]]))
        self._weights.append((pointwise, [kernels[1]] if bias is None else [kernels[1], bias]))
        return [depthwise, pointwise]

    def _normalisation(self, layer: Any) -> list[Any]:
        """Return a 1 × 1 depthwise convolution, between reshapes if the input is a vector."""
        scale, shift = _affine(layer)
        convolution = layers.DepthwiseConv2D(1, name=layer.name)
        self._weights.append((convolution, [scale.reshape(1, 1, -1, 1), shift]))
        if len(layer.output.shape) == 4:
            return [convolution]
        before = layers.Reshape((1, 1, len(scale)), name=f"{layer.name}_map")
        return [before, convolution, layers.Reshape((len(scale),), name=f"{layer.name}_vector")]

    def _copy(self, layer: Any, weights: Any, **changes: Any) -> Any:
        copy = layer.__class__.from_config(layer.get_config() | {"trainable": True} | changes)
        self._weights.append((copy, weights))
        return copy


def _affine(layer: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the scale and shift of batch normalisation in inference, each `(channels,)`."""
    rank = len(layer.output.shape)
    if list(layer.axis) != [rank - 1]:
        raise PupilaError(
            f"Layer {layer.name!r} normalises axis {list(layer.axis)!r}, where the last one, "
            f"{rank - 1}, was expected: only that can be folded into a convolution."
        )
    mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
    scale = 1 / np.sqrt(variance + np.float32(layer.epsilon))
    scale = scale * np.asarray(layer.gamma) if layer.scale else scale
    shift = np.asarray(layer.beta) if layer.center else np.float32(0)
    return scale, shift - mean * scale


def _along_outputs(layer: Any, kernel: Any, scale: Any) -> Any:
    """Reshape `scale`, one number for each output channel, to broadcast to a kernel."""
    if isinstance(layer, layers.DepthwiseConv2D):
        return scale.reshape(kernel.shape[2:])
    return scale[:, np.newaxis] if isinstance(layer, layers.Conv2DTranspose) else scale


def _activation(function: Any, name: str) -> list[Any]:
    """Return a list with one layer that computes an activation; empty for a linear activation."""
    called = function.__name__
    if called == "linear":
        return []
    if called in ("relu", "relu6"):
        return [layers.ReLU(6.0 if called == "relu6" else None, name=name)]
    if called == "softmax":
        return [layers.Softmax(name=name)]
    return [layers.Activation(called, name=name)]
