"""Adds fake quantisation to a model: in float, the model then computes what int8 will compute.

Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3 and equation 12. A value r in the range a..b becomes

    s = (b - a) / 255,    r' = round((clamp(r, a, b) - a) / s) · s + a

and gradients ignore the rounding. Weights have a symmetric range for each output channel.
Activations have one range for each tensor, a moving average over the batches (section 3.1). TFLite
does the same, so the exported file predicts like the model in training.

Sparse kernels stay sparse, and clustered kernels stay clustered: see `pupila_quantize.structure`.

The layer wrappers come from TensorFlow Model Optimization (version 0.8.1). The quantisation rules
of that library are not used, as they do not suit small models. By these rules,

* ranges of activations start at -6..6, and move by 0.1 % of the distance per training step;
* depthwise convolutions have one range for all channels;
* a convolution followed by ReLU, without normalisation between the two, keeps float weights;
* unknown layers are refused one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pupila.keras_files import import_tensorflow
from pupila_quantize.bridge import Preprocessing, import_tfmot
from pupila_quantize.lowering import (
    CONVOLUTIONS,
    PREPROCESSING,
    layers,
    lower,
    sole_consumer,
    tf_keras,
    walk,
)
from pupila_quantize.structure import structure_constraint

tf = import_tensorflow()
_quantization = import_tfmot().quantization.keras

_DECAY = 0.99
"""Decay of the moving averages of ranges: about 100 steps, a few epochs of a small dataset."""

_NARROWEST_RANGE = 1e-4
"""Width of the range of activations that are all zero: int8 needs a scale above zero."""

_NEARLY_ONE = float(np.nextafter(np.float32(1), np.float32(0)))
_SMALLEST_WEIGHT = 1e-9
_LEVELS = 127
_PIXELS = (0.0, 255.0)

_CONSTRAINTS = {"kernel": "kernel_constraint", "depthwise_kernel": "depthwise_constraint"}

_PASSING = (
    *(layers.MaxPooling2D, layers.GlobalMaxPooling2D, layers.AveragePooling2D, layers.Flatten),
    *(layers.Reshape, layers.Permute, layers.ZeroPadding2D, layers.Cropping2D),
    layers.UpSampling2D,
)
"""Layers whose int8 kernels give the output the same scale as the input."""

_FIXED = ("sigmoid", "softmax", "tanh")
"""Activations whose int8 kernels have a fixed output scale."""

_COMPUTING = (
    *CONVOLUTIONS,
    *(layers.Dense, layers.Add, layers.Subtract, layers.Multiply),
    *(layers.Concatenate, layers.GlobalAveragePooling2D),
    *(layers.ReLU, layers.LeakyReLU, layers.PReLU),
)
"""Layers with an int8 kernel and an output scale of their own."""

_COMPUTING_ACTIVATIONS = ("swish", "gelu", "relu")


@dataclass(frozen=True)
class Quantised:
    """A model with fake quantisation."""

    model: Any
    """The `tf_keras` model; its input is raw RGB `(batch, height, width, 3)` in 0..255."""
    output_only: list[str]
    """Names of the layers that have no int8 kernel: only their outputs are quantised."""


def add_fake_quantisation(flat: Any, preprocessing: Preprocessing | None = None) -> Quantised:
    """Return a copy of a flat `tf_keras` model with fake quantisation.

    If `preprocessing` is not None, it becomes the first layer of the copy. The first batch
    initialises the ranges of activations: call the copy once with `training=True` before using its
    predictions.

    Raises:
        PupilaError: batch normalisation is along an axis other than the last.
    """
    float_model = lower(flat, preprocessing)
    wrapped: dict[int, Any] = {}

    def call(layer: Any, arguments: Any) -> Any:
        if id(layer) not in wrapped:
            wrapped[id(layer)] = _wrap(layer)
        output = wrapped[id(layer)](arguments)
        if preprocessing is not None and layer.name == PREPROCESSING:
            return _FixedRange(*preprocessing.bounds, name="preprocessed")(output)
        return output

    image, output = walk(float_model, call, _FixedRange(*_PIXELS, name="pixels"))
    unknown = [layer.name for layer in float_model.layers if not _is_known(layer)]
    return Quantised(tf_keras.Model(image, output, name=flat.name), unknown)


def _wrap(layer: Any) -> Any:
    """Return a copy of a layer that computes like its int8 kernel."""
    if isinstance(layer, layers.Concatenate):
        scaled = [_has_scale(operand) for operand in layer._inbound_nodes[0].inbound_layers]
        return _Concatenation(scaled, **layer.get_config())
    kernel = _kernel(layer)
    copy = layer.__class__.from_config(layer.get_config())
    if kernel is not None and layer.name != PREPROCESSING:
        name, shared = kernel
        constraint = structure_constraint(np.asarray(getattr(layer, name)), shared)
        setattr(copy, _CONSTRAINTS[name], constraint)
    copy.build(layer.get_input_shape_at(0))
    copy.set_weights(layer.get_weights())
    if _passes(layer) or layer.name == PREPROCESSING:
        return copy  # preprocessing has one weight for each channel, which is exact in int8
    output = _Range() if _is_quantised_after(layer) else None
    return _quantization.QuantizeWrapperV2(copy, _Rules(kernel, output))


def _is_quantised_after(layer: Any) -> bool:
    """Return whether a layer's own output is quantised, not only the output of a fused consumer."""
    following = sole_consumer(layer)
    if isinstance(following, layers.Concatenate):
        return False  # it rounds its inputs itself
    fused = isinstance(layer, (*CONVOLUTIONS, layers.Dense, layers.Add))
    return not (fused and isinstance(following, layers.ReLU))


def _has_scale(layer: Any) -> bool:
    return _passes(layer) or isinstance(layer, layers.Concatenate) or _is_quantised_after(layer)


def _passes(layer: Any) -> bool:
    """Return whether a layer's output has the scale of its input, or a fixed one."""
    return isinstance(layer, _PASSING) or _has_fixed_range(layer)


def _has_fixed_range(layer: Any) -> bool:
    name = layer.activation.__name__ if isinstance(layer, layers.Activation) else ""
    return isinstance(layer, layers.Softmax) or name in _FIXED


def _is_known(layer: Any) -> bool:
    if isinstance(layer, layers.Activation):
        return layer.activation.__name__ in (*_FIXED, *_COMPUTING_ACTIVATIONS)
    return isinstance(layer, (*_PASSING, *_COMPUTING, layers.Softmax, layers.InputLayer))


def _kernel(layer: Any) -> tuple[str, tuple[int, ...]] | None:
    """Return the name of a layer's kernel, and the axes along which weights share a range."""
    if isinstance(layer, layers.DepthwiseConv2D):
        return "depthwise_kernel", (0, 1)
    if isinstance(layer, layers.Conv2DTranspose):
        return "kernel", (0, 1, 3)
    if isinstance(layer, layers.Conv2D):
        return "kernel", (0, 1, 2)
    return ("kernel", (0,)) if isinstance(layer, layers.Dense) else None


class _Rules(_quantization.QuantizeConfig):
    """What is quantised in one layer: a kernel, the output, both or neither."""

    def __init__(self, kernel: tuple[str, tuple[int, ...]] | None, output: Any) -> None:
        self._kernel = kernel
        self._output = output

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        if self._kernel is None:
            return []
        name, shared = self._kernel
        return [(getattr(layer, name), _Symmetric(shared))]

    def set_quantize_weights(self, layer: Any, quantize_weights: list[Any]) -> None:
        if self._kernel is not None:
            setattr(layer, self._kernel[0], quantize_weights[0])

    def get_activations_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        return []

    def set_quantize_activations(self, layer: Any, quantize_activations: list[Any]) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        return [] if self._output is None else [self._output]

    def get_config(self) -> dict[str, Any]:
        return {}


class _FixedRange(layers.Layer):
    """A layer that rounds its input to 256 levels of a fixed range."""

    def __init__(self, low: float, high: float, name: str) -> None:
        super().__init__(name=name)  # pyright: ignore[reportUnknownMemberType]  - Keras has no types
        self._low, self._high = min(low, 0.0), max(high, 0.0)

    def call(self, inputs: Any) -> Any:
        return tf.quantization.fake_quant_with_min_max_args(inputs, self._low, self._high)


class _Concatenation(layers.Concatenate):
    """A concatenation that rounds its inputs to their common range before it joins them.

    The int8 kernel needs the same scale for all inputs. If one input already has a scale, the
    converter would use this scale for all inputs, clip the other inputs to its range, and drop the
    rounding to the common range. So each input that has a scale first goes through an operator
    whose output gets its own scale: a leaky ReLU with a slope of nearly 1. The converter would
    remove a leaky ReLU with a slope of exactly 1.
    """

    def __init__(self, scaled: list[bool], **settings: Any) -> None:
        super().__init__(**settings)  # pyright: ignore[reportUnknownMemberType]  - Keras has no types
        self._scaled = scaled

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)  # pyright: ignore[reportUnknownMemberType]  - Keras has no types
        self._ends = _Range().build(None, "output", self)

    def call(self, inputs: Any, training: bool = False) -> Any:
        ends = self._ends["low"], self._ends["high"]
        if training:
            ends = _move_range(*ends, self._join(inputs))
        operands = [
            tf.nn.leaky_relu(tensor, _NEARLY_ONE) if scaled else tensor
            for tensor, scaled in zip(inputs, self._scaled, strict=True)
        ]
        rounded = [tf.quantization.fake_quant_with_min_max_vars(o, *ends) for o in operands]
        return tf.quantization.fake_quant_with_min_max_vars(self._join(rounded), *ends)

    def _join(self, operands: Any) -> Any:
        return super().call(operands)  # pyright: ignore  - Keras has no types


class _Symmetric(_quantization.quantizers.Quantizer):
    """Rounds weights to 255 levels around zero; the largest weight of each channel is exact.

    The converter chooses the same scales for weights that are already rounded.
    """

    def __init__(self, shared: tuple[int, ...]) -> None:
        self._shared = shared

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {}

    def __call__(self, inputs: Any, training: bool, weights: Any, **kwargs: Any) -> Any:
        largest = tf.reduce_max(tf.abs(inputs), axis=self._shared, keepdims=True)
        scale = tf.stop_gradient(tf.maximum(largest, _SMALLEST_WEIGHT) / _LEVELS)
        return inputs + tf.stop_gradient(tf.round(inputs / scale) * scale - inputs)

    def get_config(self) -> dict[str, Any]:
        return {"shared": self._shared}


class _Range(_quantization.quantizers.Quantizer):
    """Rounds activations to 256 levels between the moving averages of their minima and maxima."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {
            end: layer.add_weight(f"{name}_{end}", initializer="zeros", trainable=False)
            for end in ("low", "high")
        }

    def __call__(self, inputs: Any, training: bool, weights: Any, **kwargs: Any) -> Any:
        low, high = weights["low"], weights["high"]
        if training:
            low, high = _move_range(low, high, inputs)
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)

    def get_config(self) -> dict[str, Any]:
        return {}


def _move_range(low: Any, high: Any, inputs: Any) -> tuple[Any, Any]:
    """Move a range towards the range of a batch extended to include zero, and return it.

    The first batch sets the range.
    """
    decay = tf.where(low < high, _DECAY, 0.0)
    smallest = tf.minimum(tf.reduce_min(inputs), 0.0)
    largest = tf.maximum(tf.reduce_max(inputs), smallest + _NARROWEST_RANGE)
    low.assign(decay * low + (1 - decay) * smallest)
    high.assign(decay * high + (1 - decay) * tf.maximum(largest, 0.0))
    return low, high
