"""Finds which channels of a model can only be cut together.

A channel that one layer makes is normalised, added, multiplied and read by other layers. If the
channel is cut, its entries in the weights of all these layers must be cut too. Fang et al. 2023
(CVPR; arXiv 2301.12900), "DepGraph: towards any structural pruning", find groups of layers that
depend on each other. Here each channel is followed separately. This also handles layers that share
only some channels, for example an addition to a concatenation:

* a convolution or dense layer makes new channels, and reads the channels of its input;
* pooling, padding, dropout, batch normalisation and elementwise activations pass channels on;
* an addition or multiplication ties the channels of its operands: the first to the first, the
  second to the second, and so on;
* a concatenation appends the channels of its operands;
* flattening repeats the channels at each position (channels last).

The image's colours and the output's columns are never cut. Unsupported layers, such as attention,
layer normalisation or grouped convolution, keep all their input and output channels.
"""

from __future__ import annotations

from collections import Counter
from math import prod
from typing import Any, cast

import numpy as np

from pupila import PupilaError
from pupila.keras_files import import_keras
from pupila_prune.channels import FIXED, Axis, Channels, Role, Units

keras = import_keras()
layers = keras.layers
raw = keras.src.ops  # operations as a graph holds them; Keras exports only the functions


def channels_of(model: Any) -> Channels:
    """Follow the channels through a flat functional model, and return the units of the model.

    A model is flat if it has no nested models.

    Raises:
        PupilaError: a layer is not one of Keras' own.
    """
    return _Walk(model).channels()


class _Ties:
    """Records which channels are tied, by number (union-find). Channels tied to 0 are never cut."""

    def __init__(self) -> None:
        self._parents = [0]

    def new(self, count: int) -> Units:
        start = len(self._parents)
        self._parents.extend(range(start, start + count))
        return np.arange(start, start + count)

    def tie(self, first: Units, second: Units) -> None:
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            low, high = sorted((self._root(one), self._root(other)))
            self._parents[high] = low

    def fix(self, channels: Units) -> None:
        self.tie(channels, np.zeros_like(channels))

    def roots(self, channels: Units) -> Units:
        return np.array([self._root(channel) for channel in channels.tolist()], np.int64)

    def _root(self, channel: int) -> int:
        while self._parents[channel] != channel:
            self._parents[channel] = self._parents[self._parents[channel]]
            channel = self._parents[channel]
        return channel


class _Walk:
    """Follows channels through a model's layer calls, in order."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._ties = _Ties()
        self._axes: dict[tuple[str, str, int], tuple[Units, Role]] = {}
        self._untouched: list[str] = []
        self._outputs: dict[str, Units] = {}
        self._tensors: dict[int, Units] = {}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                self._visit(node)
        for output in model.outputs:
            self._ties.fix(self._tensors[id(output)])

    def channels(self) -> Channels:
        """Return all units, numbered in the order in which layers make them."""
        number = {0: FIXED}
        axes = tuple(
            Axis(*position, self._number(units, number), role)
            for position, (units, role) in self._axes.items()
        )
        return Channels(
            count=len(number) - 1,
            axes=axes,
            untouched=tuple(dict.fromkeys(self._untouched)),
            sizes=self._sizes(),
            widths={name: self._number(made, number) for name, made in self._outputs.items()},
        )

    def _sizes(self) -> dict[tuple[str, str], int]:
        """Return the entries of each weight; a layer of layers has several of the same name."""
        sizes: Counter[tuple[str, str]] = Counter()
        for layer in self._model.layers:
            for weight in layer.weights:
                sizes[layer.name, weight.name] += prod(weight.shape)
        return dict(sizes)

    def _number(self, channels: Units, number: dict[int, int]) -> Units:
        roots = self._ties.roots(channels).tolist()
        return np.array([number.setdefault(root, len(number) - 1) for root in roots], np.int64)

    def _visit(self, node: Any) -> None:
        layer = node.operation
        inputs = [self._tensors[id(tensor)] for tensor in node.input_tensors]
        channels = None if node.is_input else self._follow(layer, node, inputs)
        if channels is None:
            self._leave(node, inputs)
            channels = np.zeros(0, np.int64)
        for output in node.outputs:
            width = output.shape[-1] if len(output.shape) > 1 else None
            fixed = np.zeros(width or 0, np.int64)
            channels_or_fixed = channels if len(channels) else fixed
            self._tensors[id(output)] = self._outputs[layer.name] = channels_or_fixed

    def _follow(self, layer: Any, node: Any, inputs: list[Units]) -> Units | None:
        """Return the output channels of a layer; None if the layer is not supported."""
        _check_known(layer)
        kind = cast("type[Any]", type(layer))
        if getattr(layer, "data_format", "channels_last") == "channels_first":
            return None
        if kind in _JOINING:
            return self._join(layer, node, inputs)
        if len(inputs) != 1:
            return None
        if kind in _FOLLOWED:
            return _FOLLOWED[kind](self, layer, node, inputs[0])
        return inputs[0] if _passes_through(layer) else None

    def _leave(self, node: Any, inputs: list[Units]) -> None:
        """Fix the inputs of an unsupported layer, and record its name if that may prevent a cut."""
        for channels in inputs:
            self._ties.fix(channels)
        learns = bool(getattr(node.operation, "trainable_weights", ()))
        answers = all(map(self._is_output, node.outputs))
        if not answers and (learns or any(channels.any() for channels in inputs)):
            self._untouched.append(node.operation.name)

    def _is_output(self, tensor: Any) -> bool:
        return any(tensor is output for output in self._model.outputs)

    # What each kind of layer does with channels -------------------------------------------------

    def convolution(self, layer: Any, node: Any, channels: Units) -> Units | None:
        if layer.groups != 1:
            return None
        return self._make(layer, "kernel", channels)

    def dense(self, layer: Any, node: Any, channels: Units) -> Units:
        return self._make(layer, "kernel", channels)

    def separable(self, layer: Any, node: Any, channels: Units) -> Units:
        self._assign(layer, "depthwise_kernel", 2, channels, "follows")
        return self._make(layer, "pointwise_kernel", np.repeat(channels, layer.depth_multiplier))

    def depthwise(self, layer: Any, node: Any, channels: Units) -> Units:
        self._assign(layer, "kernel", 2, channels, "follows")
        return self._finish(layer, np.repeat(channels, layer.depth_multiplier))

    def normalisation(self, layer: Any, node: Any, channels: Units) -> Units | None:
        if layer.axis not in (-1, len(node.input_tensors[0].shape) - 1):
            return None
        for weight in layer.weights:
            self._assign(layer, weight.name, 0, channels, "follows")
        return channels

    def prelu(self, layer: Any, node: Any, channels: Units) -> Units:
        if layer.alpha.shape[-1] == len(channels):
            self._assign(layer, "alpha", len(layer.alpha.shape) - 1, channels, "follows")
        return channels

    def flatten(self, layer: Any, node: Any, channels: Units) -> Units | None:
        (output,) = node.outputs
        return np.tile(channels, output.shape[-1] // len(channels)) if len(channels) else None

    def reshape(self, layer: Any, node: Any, channels: Units) -> Units | None:
        (output,) = node.outputs
        return channels if output.shape[-1] == len(channels) else None

    def _make(self, layer: Any, kernel: str, channels: Units) -> Units:
        """Return the new channels that a kernel `(…, read, made)` makes."""
        last = len(_weight(layer, kernel).shape) - 1
        self._assign(layer, kernel, last - 1, channels, "reads")
        made = self._ties.new(_weight(layer, kernel).shape[-1])
        self._assign(layer, kernel, last, made, "filters")
        return self._finish(layer, made)

    def _finish(self, layer: Any, made: Units) -> Units:
        """Assign channels to a layer's bias; fix them if the layer's activation mixes channels."""
        if layer.use_bias:
            self._assign(layer, "bias", 0, made, "follows")
        if not _elementwise(layer.activation):
            self._ties.fix(made)
        return made

    def _assign(self, layer: Any, weight: str, number: int, channels: Units, role: Role) -> None:
        """Assign channels to an axis of a weight.

        If an earlier call of the layer assigned other channels, tie these to the new ones.
        """
        position = (layer.name, weight, number)
        before, _ = self._axes.setdefault(position, (channels, role))
        if before is not channels:
            self._ties.tie(before, channels)

    def _join(self, layer: Any, node: Any, inputs: list[Units]) -> Units | None:
        """Return the channels of a layer with several inputs: appended, or tied to each other."""
        if isinstance(layer, layers.Concatenate):
            rank = len(node.outputs[0].shape)
            if layer.axis in (-1, rank - 1):
                return np.concatenate(inputs)
        elif not _has_plain_arguments(node):
            return None
        return self._tie_all(inputs)

    def _tie_all(self, inputs: list[Units]) -> Units | None:
        """Tie the channels of operands one by one; fix a single channel that is broadcast."""
        width = max(map(len, inputs))
        whole = [channels for channels in inputs if len(channels) == width]
        for channels in inputs:
            if len(channels) == width:
                self._ties.tie(whole[0], channels)
            elif len(channels) == 1:
                self._ties.fix(channels)
            else:
                return None
        return whole[0]


_FOLLOWED = {
    layers.Conv2D: _Walk.convolution,
    layers.Dense: _Walk.dense,
    layers.SeparableConv2D: _Walk.separable,
    layers.DepthwiseConv2D: _Walk.depthwise,
    layers.BatchNormalization: _Walk.normalisation,
    layers.PReLU: _Walk.prelu,
    layers.Flatten: _Walk.flatten,
    layers.Reshape: _Walk.reshape,
}

_JOINING = {
    *(getattr(layers, name) for name in ("Add", "Average", "Concatenate", "Maximum", "Minimum")),
    *(getattr(layers, name) for name in ("Multiply", "Subtract")),
    *(getattr(raw.numpy, name) for name in ("Add", "Multiply", "Subtract")),
}

_ACTIVATIONS = {
    *(getattr(layers, name) for name in ("ELU", "LeakyReLU", "ReLU")),
    *(getattr(raw.nn, name) for name in ("Elu", "Gelu", "HardSigmoid", "HardSilu", "LeakyRelu")),
    *(getattr(raw.nn, name) for name in ("Relu", "Relu6", "Sigmoid", "Silu", "Softplus")),
    raw.numpy.Tanh,
}

_PASSING_THROUGH = {
    *_ACTIVATIONS,
    layers.AveragePooling2D,
    layers.Cropping2D,
    layers.Dropout,
    layers.GlobalAveragePooling2D,
    layers.GlobalMaxPooling2D,
    layers.Identity,
    layers.MaxPooling2D,
    layers.SpatialDropout2D,
    layers.UpSampling2D,
    layers.ZeroPadding2D,
}

_ACROSS_CHANNELS = {"softmax", "log_softmax", "sparsemax", "glu"}
"""Activations whose value at one channel depends on other channels."""


def _passes_through(layer: Any) -> bool:
    if isinstance(layer, layers.Activation):
        return _elementwise(layer.activation)
    if isinstance(layer, layers.Rescaling):
        return np.ndim(layer.scale) == np.ndim(layer.offset) == 0
    return type(layer) in _PASSING_THROUGH


def _elementwise(activation: Any) -> bool:
    name = getattr(activation, "__name__", None)
    known = name is not None and getattr(keras.activations, name, None) is activation
    return activation is None or (known and name not in _ACROSS_CHANNELS)


def _has_plain_arguments(node: Any) -> bool:
    """Return whether a node's arguments besides tensors are plain numbers."""
    arguments = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    known = (keras.KerasTensor, int, float, bool, type(None))
    return all(isinstance(argument, known) for argument in arguments)


def _weight(layer: Any, name: str) -> Any:
    (weight,) = (weight for weight in layer.weights if weight.name == name)
    return weight


def _check_known(layer: Any) -> None:
    module = type(layer).__module__
    if module.partition(".")[0] != "keras":
        raise PupilaError(
            f"The layer {layer.name!r} is a {type(layer).__name__} of {module!r}, not one of "
            f"Keras' own, so what it does to its channels is unknown. Replace it by layers of "
            f"Keras, or make a small model with `distill`, which works with any layer."
        )
