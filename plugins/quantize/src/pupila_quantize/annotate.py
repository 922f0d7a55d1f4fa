"""Puts fake quantisation into a model: it computes in float what int8 will compute.

Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", section 3 and equation 12. A value r in the range a..b becomes

    s = (b - a) / 255,    r' = round((clamp(r, a, b) - a) / s) · s + a

and the gradient goes through as if nothing was rounded. Weights are symmetric, with a range for
each output channel; activations have one range for each tensor, a moving average over the batches
(section 3.1). Both are what TFLite does, so the exported file answers as the model in training.

What is sparse or clustered stays so: see `pupila_quantize.structure`.

The wrappers are those of TensorFlow Model Optimization. Its own rules are not used, for what they
do to small models (read in its source, 0.8.1): ranges of activations start at -6..6 and move by a
thousandth of the way per step; depthwise convolutions get one range for all channels; a
convolution that ReLU follows without normalisation is left with float weights; and layers they do
not know are refused one at a time.
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
    lowered,
    sole_consumer,
    tf_keras,
    walk,
)
from pupila_quantize.structure import kept

tf = import_tensorflow()
_quantization = import_tfmot().quantization.keras

_DECAY = 0.99
"""Of the moving averages of ranges: some 100 steps count, a few epochs of a small dataset."""

_NARROWEST_RANGE = 1e-4
"""Of activations that are all zero: int8 needs a scale above zero."""

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
"""Their int8 kernels give numbers of the scale that they are given."""

_FIXED = ("sigmoid", "softmax", "tanh")
"""Activations whose int8 kernels give a scale that is known beforehand."""

_COMPUTING = (
    *CONVOLUTIONS,
    *(layers.Dense, layers.Add, layers.Subtract, layers.Multiply),
    *(layers.Concatenate, layers.GlobalAveragePooling2D),
    *(layers.ReLU, layers.LeakyReLU, layers.PReLU),
)
"""What has a kernel in int8, and gives numbers of a scale of its own."""

_COMPUTING_ACTIVATIONS = ("swish", "gelu", "relu")


@dataclass(frozen=True)
class Quantised:
    """A model with fake quantisation."""

    model: Any
    """Takes raw RGB `(batch, height, width, 3)` in 0..255."""
    output_only: list[str]
    """Layers without an int8 form of their own: what they give is quantised, not what they do."""


def quantized(flat: Any, preprocessing: Preprocessing | None = None) -> Quantised:
    """Return a flat `tf_keras` model with fake quantisation everywhere, and `preprocessing` first.

    Ranges of activations are those of the first batch until there are more: call it with
    `training=True` once before it is asked for answers.

    Raises:
        PupilaError: batch normalisation is of another axis than the last.
    """
    float_model = lowered(flat, preprocessing)
    wrapped: dict[int, Any] = {}

    def call(layer: Any, arguments: Any) -> Any:
        if id(layer) not in wrapped:
            wrapped[id(layer)] = _wrapped(layer)
        made = wrapped[id(layer)](arguments)
        if preprocessing is not None and layer.name == PREPROCESSING:
            return _FixedRange(*preprocessing.bounds, name="preprocessed")(made)
        return made

    image, output = walk(float_model, call, _FixedRange(*_PIXELS, name="pixels"))
    unknown = [each.name for each in float_model.layers if not _is_known(each)]
    return Quantised(tf_keras.Model(image, output, name=flat.name), unknown)


def _wrapped(layer: Any) -> Any:
    """Return a copy of a layer that computes as its int8 form."""
    if isinstance(layer, layers.Concatenate):
        scaled = [_has_scale(part) for part in layer._inbound_nodes[0].inbound_layers]
        return _Concatenation(scaled, **layer.get_config())
    kernel = _kernel(layer)
    copy = layer.__class__.from_config(layer.get_config())
    if kernel is not None and layer.name != PREPROCESSING:
        name, shared = kernel
        form = kept(np.asarray(getattr(layer, name)), shared)
        setattr(copy, _CONSTRAINTS[name], form)
    copy.build(layer.get_input_shape_at(0))
    copy.set_weights(layer.get_weights())
    if _passes(layer) or layer.name == PREPROCESSING:
        return copy  # the weights of preprocessing are one number for each channel: exact in int8
    output = _Range() if _is_quantised_after(layer) else None
    return _quantization.QuantizeWrapperV2(copy, _Rules(kernel, output))


def _is_quantised_after(layer: Any) -> bool:
    """Whether what a layer gives is stored: not where its only consumer is computed with it."""
    following = sole_consumer(layer)
    if isinstance(following, layers.Concatenate):
        return False  # it rounds its parts itself
    fused = isinstance(layer, (*CONVOLUTIONS, layers.Dense, layers.Add))
    return not (fused and isinstance(following, layers.ReLU))


def _has_scale(layer: Any) -> bool:
    return _passes(layer) or isinstance(layer, layers.Concatenate) or _is_quantised_after(layer)


def _passes(layer: Any) -> bool:
    """Whether the scale of what a layer gives is not of its own choice."""
    return isinstance(layer, _PASSING) or _has_fixed_range(layer)


def _has_fixed_range(layer: Any) -> bool:
    name = layer.activation.__name__ if isinstance(layer, layers.Activation) else ""
    return isinstance(layer, layers.Softmax) or name in _FIXED


def _is_known(layer: Any) -> bool:
    if isinstance(layer, layers.Activation):
        return layer.activation.__name__ in (*_FIXED, *_COMPUTING_ACTIVATIONS)
    return isinstance(layer, (*_PASSING, *_COMPUTING, layers.Softmax, layers.InputLayer))


def _kernel(layer: Any) -> tuple[str, tuple[int, ...]] | None:
    """Return the name of a layer's kernel and those of its axes that share a range."""
    if isinstance(layer, layers.DepthwiseConv2D):
        return "depthwise_kernel", (0, 1)
    if isinstance(layer, layers.Conv2DTranspose):
        return "kernel", (0, 1, 3)
    if isinstance(layer, layers.Conv2D):
        return "kernel", (0, 1, 2)
    return ("kernel", (0,)) if isinstance(layer, layers.Dense) else None


class _Rules(_quantization.QuantizeConfig):
    """What of one layer is quantised: a kernel, the output, both or neither."""

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
    """Rounds to 256 levels of a range that is known beforehand."""

    def __init__(self, low: float, high: float, name: str) -> None:
        super().__init__(name=name)  # pyright: ignore[reportUnknownMemberType]  - Keras has no types
        self._low, self._high = min(low, 0.0), max(high, 0.0)

    def call(self, inputs: Any) -> Any:
        return tf.quantization.fake_quant_with_min_max_args(inputs, self._low, self._high)


class _Concatenation(layers.Concatenate):
    """Rounds its parts to the range of the whole before it joins them.

    Its int8 kernel takes parts of one scale only. Left to choose, the converter takes that of a
    part which has one already, and cuts off what the others have beyond it; told to round such a
    part again, it forgets that. So a part that has a scale goes through an operator whose result
    has another: a leaky ReLU that leaks all. (With a leak of exactly 1 it would be left out.)
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
            ends = _moved(*ends, self._joined(inputs))
        parts = [
            tf.nn.leaky_relu(part, _NEARLY_ONE) if scaled else part
            for part, scaled in zip(inputs, self._scaled, strict=True)
        ]
        rounded = [tf.quantization.fake_quant_with_min_max_vars(each, *ends) for each in parts]
        return tf.quantization.fake_quant_with_min_max_vars(self._joined(rounded), *ends)

    def _joined(self, parts: Any) -> Any:
        return super().call(parts)  # pyright: ignore  - Keras has no types


class _Symmetric(_quantization.quantizers.Quantizer):
    """Rounds weights to 255 levels around zero; the largest of each channel is kept as it is.

    The converter chooses the same scales for what is already rounded.
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
    """Rounds activations to 256 levels between moving averages of their smallest and largest."""

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        return {
            end: layer.add_weight(f"{name}_{end}", initializer="zeros", trainable=False)
            for end in ("low", "high")
        }

    def __call__(self, inputs: Any, training: bool, weights: Any, **kwargs: Any) -> Any:
        low, high = weights["low"], weights["high"]
        if training:
            low, high = _moved(low, high, inputs)
        return tf.quantization.fake_quant_with_min_max_vars(inputs, low, high)

    def get_config(self) -> dict[str, Any]:
        return {}


def _moved(low: Any, high: Any, inputs: Any) -> tuple[Any, Any]:
    """Move a range towards that of a batch, all the way where there was none; zero lies inside."""
    kept = tf.where(low < high, _DECAY, 0.0)
    least = tf.minimum(tf.reduce_min(inputs), 0.0)
    most = tf.maximum(tf.reduce_max(inputs), least + _NARROWEST_RANGE)
    low.assign(kept * low + (1 - kept) * least)
    high.assign(kept * high + (1 - kept) * tf.maximum(most, 0.0))
    return low, high
