"""Synaptic flow: prunes without data, and never cuts a layer off.

Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving synaptic
flow" (arXiv 2006.05467), algorithm 1. With R the sum of what the net answers to a picture of ones,
all weights taken as |w|, a weight is worth

    S = |w| · dR/d|w|

which is how much of R flows through it. The flow into a layer is the flow out of it, so all layers
have the same sum of S, and a small layer's weights are worth more each. Weights go in 100 turns,
each of which leaves the same part of what is left and measures anew.

R is to be a sum over paths of products of weights: that is what conserves the flow. So in the net
that is measured

* biases, the shift of a normalisation by batch and its running mean are 0, and it multiplies by
  |γ| / √(σ² + ε). The authors' code takes absolute values of all these instead, in a net at its
  initialisation, where shifts and means are 0;
* activations, softmax and dropout hand on what they get. ReLU does that anyway, as nothing is
  negative; ReLU6, sigmoid and swish would not;
* a product of two branches, as in squeeze and excitation, is their sum: flow takes either way;
* the scaling of pictures is left out: ones come behind it. Numbers that are added in the graph are
  left out too, and factors are taken as they are, without their sign.

Pooling, padding, sums and concatenations are themselves. All is computed in float64: R is a product
of as many factors as there are layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pupila import PupilaError
from pupila.keras_files import import_keras, import_tensorflow
from pupila_prune.kernels import Kernel
from pupila_prune.masks import Masks, among_all

keras, tf = import_keras(), import_tensorflow()
layers, ops = keras.layers, keras.ops
raw = keras.src.ops  # operations as a graph holds them; Keras exports only the functions

Weights = list[NDArray[np.float64]]

_TURNS = 100
"""Of one cut: the n of the authors' experiments."""


def synflow_masks(model: Any, kernels: Sequence[Kernel], sparsity: float) -> Masks:
    """Return which weights are kept, so that the part `sparsity` of all is cut.

    Raises:
        PupilaError: flow cannot be followed through a layer, or there is none, or too much of it.
    """
    measure = synaptic_flow(model, kernels)
    weights = [np.abs(kernel.values).astype(np.float64) for kernel in kernels]
    kept = sum(map(np.count_nonzero, weights)) / sum(each.size for each in weights)
    masks = [each > 0 for each in weights]
    for turn in range(1, _TURNS + 1):
        left = kept * ((1 - sparsity) / kept) ** (turn / _TURNS)
        scores = [np.where(w > 0, s, -1) for w, s in zip(weights, measure(weights), strict=True)]
        masks = among_all(scores, 1 - left)
        weights = [w * mask for w, mask in zip(weights, masks, strict=True)]
    return masks


def synaptic_flow(model: Any, kernels: Sequence[Kernel]) -> Callable[[Weights], Weights]:
    """Return a function from |w| of all kernels to S of each weight.

    Raises (the function):
        PupilaError: see `synflow_masks`.
    """
    (given,) = model.inputs
    ones = np.ones((1, *given.shape[1:]))
    names = [kernel.name for kernel in kernels]

    @tf.function(autograph=False)
    def gradients(weights: list[Any]) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            through = _Linear(dict(zip(names, weights, strict=True)))
            flow = tf.reduce_sum(model._run_through_graph(tf.constant(ones), call_fn=through))
        zero = tf.UnconnectedGradients.ZERO
        return flow, tape.gradient(flow, weights, unconnected_gradients=zero)

    def measure(weights: Weights) -> Weights:
        flow, found = gradients([tf.constant(each, tf.float64) for each in weights])
        _check_flow(model, float(flow))
        return [w * np.asarray(g) for w, g in zip(weights, found, strict=True)]

    return measure


def _check_flow(model: Any, flow: float) -> None:
    if not 0 < flow < np.inf:
        raise PupilaError(
            f"The synaptic flow through the model {model.name!r} is {flow!r}, where a number above "
            f"0 was expected: its kernels are 0 on every path, or their products too large for "
            f"float64. Prune it with `prune-magnitude`."
        )


class _Linear:
    """Calls each layer of a graph as the head of this module tells, with |w| by kernels' names."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self._weights = weights

    def __call__(self, layer: Any, *given: Any, **options: Any) -> Any:
        kind = cast("type[Any]", type(layer))
        if kind in _WEIGHTED:
            return _WEIGHTED[kind](self, layer, given[0])
        if kind in _HANDED_ON:
            return given[0]
        if kind in _MERGED:
            return _merged(kind, keras.tree.flatten(given))
        if kind in _AS_THEY_ARE:
            return layer.call(*given, **options)
        raise PupilaError(
            f"The layer {layer.name!r} is a {kind.__name__}, through which the flow of SynFlow "
            f"cannot be followed. Prune the model with `prune-magnitude` or `prune-obd`."
        )

    def convolution(self, layer: Any, given: Any) -> Any:
        return layer.convolution_op(given, self._weight(layer))

    def transposed(self, layer: Any, given: Any) -> Any:
        padding = {"padding": layer.padding, "output_padding": layer.output_padding}
        return ops.conv_transpose(
            given, self._weight(layer), **padding, **_settings(layer), strides=list(layer.strides)
        )

    def depthwise(self, layer: Any, given: Any) -> Any:
        kernel = self._weight(layer)
        return ops.depthwise_conv(
            given, kernel, layer.strides, padding=layer.padding, **_settings(layer)
        )

    def separable(self, layer: Any, given: Any) -> Any:
        kernels = (self._weight(layer, f"{part}_kernel") for part in ("depthwise", "pointwise"))
        return ops.separable_conv(
            given, *kernels, strides=layer.strides, padding=layer.padding, **_settings(layer)
        )

    def dense(self, layer: Any, given: Any) -> Any:
        return ops.matmul(given, self._weight(layer))

    def normalisation(self, layer: Any, given: Any) -> Any:
        scale = ops.rsqrt(ops.cast(layer.moving_variance, "float64") + layer.epsilon)
        if layer.scale:
            scale = scale * ops.abs(ops.cast(layer.gamma, "float64"))
        shape = [1] * len(given.shape)
        shape[layer.axis] = -1
        return given * ops.reshape(scale, shape)

    def _weight(self, layer: Any, name: str = "kernel") -> Any:
        return self._weights[f"{layer.name}/{name}"]


def _settings(layer: Any) -> dict[str, Any]:
    return {"data_format": layer.data_format, "dilation_rate": layer.dilation_rate}


def _merged(kind: type, given: list[Any]) -> Any:
    """Add up what flows, and scale it by the numbers that multiply or divide it."""
    flowing = [each for each in given if tf.is_symbolic_tensor(each)]
    numbers = [np.abs(np.asarray(each)) for each in given if not tf.is_symbolic_tensor(each)]
    found = sum(flowing[1:], flowing[0])
    for number in numbers:
        if kind is raw.numpy.Multiply:
            found = found * number.astype(np.float64)
        elif kind in (raw.numpy.Divide, raw.numpy.TrueDivide):
            found = found / number.astype(np.float64)
    return found


_WEIGHTED = {
    layers.BatchNormalization: _Linear.normalisation,
    layers.Conv2D: _Linear.convolution,
    layers.Conv2DTranspose: _Linear.transposed,
    layers.Dense: _Linear.dense,
    layers.DepthwiseConv2D: _Linear.depthwise,
    layers.SeparableConv2D: _Linear.separable,
}


def _named(module: Any, *names: str) -> set[type]:
    return {getattr(module, name) for name in names}


_HANDED_ON = {
    *_named(layers, "Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"),
    *_named(layers, "Dropout", "Identity", "Normalization", "Rescaling", "SpatialDropout2D"),
    *_named(raw.nn, "Elu", "Gelu", "HardSigmoid", "HardSilu", "LeakyRelu", "Relu", "Relu6"),
    *_named(raw.nn, "Sigmoid", "Silu", "Softmax", "Softplus"),
    raw.numpy.Tanh,
}

_MERGED = {
    *_named(layers, "Add", "Multiply", "Subtract"),
    *_named(raw.numpy, "Add", "Divide", "Multiply", "Subtract", "TrueDivide"),
}

_AS_THEY_ARE = {
    *_named(layers, "AveragePooling2D", "GlobalAveragePooling2D"),
    *_named(layers, "GlobalMaxPooling2D", "MaxPooling2D"),
    *_named(layers, "Average", "Concatenate", "Maximum", "Minimum"),
    *_named(layers, "Cropping2D", "Flatten", "Permute", "Reshape", "UpSampling2D", "ZeroPadding2D"),
    *_named(raw.numpy, "Concatenate", "ExpandDims", "Flip", "GetItem", "Mean", "Reshape"),
    *_named(raw.numpy, "Squeeze", "Transpose"),
}
