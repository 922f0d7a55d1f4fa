"""SynFlow: prunes without data, and never cuts off a layer completely.

Tanaka et al. 2020, "Pruning neural networks without any data by iteratively conserving synaptic
flow" (arXiv 2006.05467), algorithm 1. Let R be the sum of the net's outputs for an image of ones,
with each weight w replaced by |w|. The score of a weight is

    S = |w| · dR/d|w|

the share of R that flows through the weight. The flow into a layer equals the flow out of it, so S
has the same sum in all layers, and the weights of a small layer score higher. Weights are cut in
100 iterations. Each iteration computes the scores again, and keeps the same fraction of the
remaining weights.

The flow is conserved only if R is a sum, over paths, of products of weights. So in the measured net

* biases are 0, and so are the shift and running mean of batch normalisation. So batch normalisation
  only multiplies, by |γ| / √(σ² + ε). The authors' code takes absolute values of biases, shifts and
  means instead, but in a newly initialised net, where shifts and means are 0;
* activations, softmax and dropout are the identity. (ReLU would be the identity anyway, as nothing
  is negative, but ReLU6, sigmoid and swish would not.)
* a product of two branches, as in squeeze and excitation, becomes their sum;
* the scaling of images is left out, so that the image of ones reaches the first layer. Constants
  that are added in the graph are left out too, and constant factors lose their sign.

Pooling, padding, sums and concatenations are unchanged. Everything is computed in float64, since
each path multiplies as many factors as there are layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pupila import PupilaError
from pupila.keras_files import import_keras, import_tensorflow
from pupila_prune.kernels import Kernel
from pupila_prune.masks import Masks, masks_across_layers

keras, tf = import_keras(), import_tensorflow()
layers, ops = keras.layers, keras.ops
raw = keras.src.ops  # operations as a graph holds them; Keras exports only the functions

Weights = list[NDArray[np.float64]]

_ITERATIONS = 100
"""Number of iterations of one cut, as in the authors' experiments."""


def synflow_masks(model: Any, kernels: Sequence[Kernel], sparsity: float) -> Masks:
    """Return masks that set the fraction `sparsity` of all weights to 0: those with the least flow.

    Raises:
        PupilaError: SynFlow does not support a layer, or the flow is 0 or infinite.
    """
    measure = synaptic_flow(model, kernels)
    weights = [np.abs(kernel.values).astype(np.float64) for kernel in kernels]
    kept = sum(map(np.count_nonzero, weights)) / sum(w.size for w in weights)
    masks = [w > 0 for w in weights]
    for iteration in range(1, _ITERATIONS + 1):
        remaining = kept * ((1 - sparsity) / kept) ** (iteration / _ITERATIONS)
        scores = [np.where(w > 0, s, -1) for w, s in zip(weights, measure(weights), strict=True)]
        masks = masks_across_layers(scores, 1 - remaining)
        weights = [w * mask for w, mask in zip(weights, masks, strict=True)]
    return masks


def synaptic_flow(model: Any, kernels: Sequence[Kernel]) -> Callable[[Weights], Weights]:
    """Return a function that computes the score S of each weight from |w| of all kernels.

    The function takes and returns one array per kernel, of the kernel's shape.

    Raises (the returned function):
        PupilaError: SynFlow does not support a layer, or the flow is 0 or infinite.
    """
    (image,) = model.inputs
    ones = np.ones((1, *image.shape[1:]))
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
        flow, derivatives = gradients([tf.constant(w, tf.float64) for w in weights])
        _check_flow(model, float(flow))
        return [w * np.asarray(g) for w, g in zip(weights, derivatives, strict=True)]

    return measure


def _check_flow(model: Any, flow: float) -> None:
    if not 0 < flow < np.inf:
        raise PupilaError(
            f"The synaptic flow through the model {model.name!r} is {flow!r}, where a number above "
            f"0 was expected: its kernels are 0 on every path, or their products too large for "
            f"float64. Prune it with `prune-magnitude`."
        )


class _Linear:
    """Calls each layer in the form that the module docstring describes, with |w| as its weights."""

    def __init__(self, weights: dict[str, Any]) -> None:
        self._weights = weights

    def __call__(self, layer: Any, *arguments: Any, **options: Any) -> Any:
        kind = cast("type[Any]", type(layer))
        if kind in _WEIGHTED:
            return _WEIGHTED[kind](self, layer, arguments[0])
        if kind in _PASSED_THROUGH:
            return arguments[0]
        if kind in _MERGED:
            return _merge(kind, keras.tree.flatten(arguments))
        if kind in _AS_THEY_ARE:
            return layer.call(*arguments, **options)
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


def _merge(kind: type, operands: list[Any]) -> Any:
    """Return the sum of the tensors, scaled by the constants that multiply or divide them."""
    tensors = [operand for operand in operands if tf.is_symbolic_tensor(operand)]
    constants = [
        np.abs(np.asarray(operand)) for operand in operands if not tf.is_symbolic_tensor(operand)
    ]
    total = sum(tensors[1:], tensors[0])
    for constant in constants:
        if kind is raw.numpy.Multiply:
            total = total * constant.astype(np.float64)
        elif kind in (raw.numpy.Divide, raw.numpy.TrueDivide):
            total = total / constant.astype(np.float64)
    return total


_WEIGHTED = {
    layers.BatchNormalization: _Linear.normalisation,
    layers.Conv2D: _Linear.convolution,
    layers.Conv2DTranspose: _Linear.transposed,
    layers.Dense: _Linear.dense,
    layers.DepthwiseConv2D: _Linear.depthwise,
    layers.SeparableConv2D: _Linear.separable,
}


def _types(module: Any, *names: str) -> set[type]:
    return {getattr(module, name) for name in names}


_PASSED_THROUGH = {
    *_types(layers, "Activation", "ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"),
    *_types(layers, "Dropout", "Identity", "Normalization", "Rescaling", "SpatialDropout2D"),
    *_types(raw.nn, "Elu", "Gelu", "HardSigmoid", "HardSilu", "LeakyRelu", "Relu", "Relu6"),
    *_types(raw.nn, "Sigmoid", "Silu", "Softmax", "Softplus"),
    raw.numpy.Tanh,
}

_MERGED = {
    *_types(layers, "Add", "Multiply", "Subtract"),
    *_types(raw.numpy, "Add", "Divide", "Multiply", "Subtract", "TrueDivide"),
}

_AS_THEY_ARE = {
    *_types(layers, "AveragePooling2D", "GlobalAveragePooling2D"),
    *_types(layers, "GlobalMaxPooling2D", "MaxPooling2D"),
    *_types(layers, "Average", "Concatenate", "Maximum", "Minimum"),
    *_types(layers, "Cropping2D", "Flatten", "Permute", "Reshape", "UpSampling2D", "ZeroPadding2D"),
    *_types(raw.numpy, "Concatenate", "ExpandDims", "Flip", "GetItem", "Mean", "Reshape"),
    *_types(raw.numpy, "Squeeze", "Transpose"),
}
