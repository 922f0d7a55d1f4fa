"""Follows channels through the graph of a model.

A channel that one layer makes is read by others, and normalised, added or multiplied on the way:
cut it, and all these must be cut alike. Fang et al. 2023 (CVPR; arXiv 2301.12900), "DepGraph:
towards any structural pruning", find such groups among layers. Here every single channel is
followed, which is as simple, and also right where layers are joined in part, as where one operand
of an addition is a concatenation:

* a convolution or dense layer makes new channels, and reads those of its input;
* pooling, padding, dropout, normalisation by batch and elementwise activations hand them on;
* an addition or multiplication ties those of its operands one by one, a concatenation lines them
  up, and flattening repeats them at each position (channels last).

Never cut are the colours of the picture and the columns of the answer. Whatever is not understood,
as attention, normalisation by layer or grouped convolution, keeps all channels that it reads and
gives.
"""

from __future__ import annotations

from math import prod
from typing import Any, cast

import numpy as np

from pupila import PupilaError
from pupila.keras_files import import_keras
from pupila_prune.channels import FIXED, Axis, Channels, Part, Units

keras = import_keras()
layers = keras.layers
raw = keras.src.ops  # operations as a graph holds them; Keras exports only the functions


def channels_of(model: Any) -> Channels:
    """Follow the channels through a flat functional model.

    Raises:
        PupilaError: a layer is not one of Keras' own.
    """
    return _Walk(model).channels()


class _Ties:
    """Channels by number, and which are tied: those tied to 0 are fixed."""

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
        return np.array([self._root(each) for each in channels.tolist()], np.int64)

    def _root(self, channel: int) -> int:
        while self._parents[channel] != channel:
            self._parents[channel] = self._parents[self._parents[channel]]
            channel = self._parents[channel]
        return channel


class _Walk:
    """Visits each call of a model in order, with the channels of its inputs."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._ties = _Ties()
        self._axes: dict[tuple[str, str, int], tuple[Units, Part]] = {}
        self._untouched: list[str] = []
        self._given: dict[str, Units] = {}
        self._tensors: dict[int, Units] = {}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                self._visit(node)
        for output in model.outputs:
            self._ties.fix(self._tensors[id(output)])

    def channels(self) -> Channels:
        """Number the units in the order in which they are made."""
        number = {0: FIXED}
        axes = tuple(
            Axis(*place, self._numbered(units, number), part)
            for place, (units, part) in self._axes.items()
        )
        return Channels(
            count=len(number) - 1,
            axes=axes,
            untouched=tuple(dict.fromkeys(self._untouched)),
            sizes={
                (layer.name, weight.name): prod(weight.shape)
                for layer in self._model.layers
                for weight in layer.weights
            },
            widths={name: self._numbered(given, number) for name, given in self._given.items()},
        )

    def _numbered(self, channels: Units, number: dict[int, int]) -> Units:
        roots = self._ties.roots(channels).tolist()
        return np.array([number.setdefault(each, len(number) - 1) for each in roots], np.int64)

    def _visit(self, node: Any) -> None:
        layer, given = node.operation, [self._tensors[id(each)] for each in node.input_tensors]
        found = None if node.is_input else self._follow(layer, node, given)
        if found is None:
            self._leave(node, given)
            found = np.zeros(0, np.int64)
        for output in node.outputs:
            width = output.shape[-1] if len(output.shape) > 1 else None
            fixed = np.zeros(width or 0, np.int64)
            self._tensors[id(output)] = self._given[layer.name] = found if len(found) else fixed

    def _follow(self, layer: Any, node: Any, given: list[Units]) -> Units | None:
        """Return the channels that a layer gives; None where it is not understood."""
        _check_known(layer)
        kind = cast("type[Any]", type(layer))
        if getattr(layer, "data_format", "channels_last") == "channels_first":
            return None
        if kind in _JOINING:
            return self._joined(layer, node, given)
        if len(given) != 1:
            return None
        if kind in _FOLLOWED:
            return _FOLLOWED[kind](self, layer, node, given[0])
        return given[0] if _hands_on(layer) else None

    def _leave(self, node: Any, given: list[Units]) -> None:
        """Fix all that a layer reads; remember it if that, or what it gives, could be cut else."""
        for channels in given:
            self._ties.fix(channels)
        learns = bool(getattr(node.operation, "trainable_weights", ()))
        answers = all(map(self._is_answer, node.outputs))
        if not answers and (learns or any(channels.any() for channels in given)):
            self._untouched.append(node.operation.name)

    def _is_answer(self, tensor: Any) -> bool:
        return any(tensor is output for output in self._model.outputs)

    # What each kind of layer does with channels -------------------------------------------------

    def convolution(self, layer: Any, node: Any, given: Units) -> Units | None:
        if layer.groups != 1:
            return None
        return self._made(layer, "kernel", given)

    def dense(self, layer: Any, node: Any, given: Units) -> Units:
        return self._made(layer, "kernel", given)

    def separable(self, layer: Any, node: Any, given: Units) -> Units:
        self._along(layer, "depthwise_kernel", 2, given, "follows")
        return self._made(layer, "pointwise_kernel", np.repeat(given, layer.depth_multiplier))

    def depthwise(self, layer: Any, node: Any, given: Units) -> Units:
        self._along(layer, "kernel", 2, given, "follows")
        return self._finished(layer, np.repeat(given, layer.depth_multiplier))

    def normalisation(self, layer: Any, node: Any, given: Units) -> Units | None:
        if layer.axis not in (-1, len(node.input_tensors[0].shape) - 1):
            return None
        for weight in layer.weights:
            self._along(layer, weight.name, 0, given, "follows")
        return given

    def prelu(self, layer: Any, node: Any, given: Units) -> Units:
        if layer.alpha.shape[-1] == len(given):
            self._along(layer, "alpha", len(layer.alpha.shape) - 1, given, "follows")
        return given

    def flatten(self, layer: Any, node: Any, given: Units) -> Units | None:
        (output,) = node.outputs
        return np.tile(given, output.shape[-1] // len(given)) if len(given) else None

    def reshape(self, layer: Any, node: Any, given: Units) -> Units | None:
        (output,) = node.outputs
        return given if output.shape[-1] == len(given) else None

    def _made(self, layer: Any, kernel: str, given: Units) -> Units:
        """Follow a kernel `(…, read, made)` from the channels it reads to those it makes."""
        last = len(_weight(layer, kernel).shape) - 1
        self._along(layer, kernel, last - 1, given, "reads")
        made = self._ties.new(_weight(layer, kernel).shape[-1])
        self._along(layer, kernel, last, made, "filters")
        return self._finished(layer, made)

    def _finished(self, layer: Any, made: Units) -> Units:
        """Follow channels through a layer's bias and activation."""
        if layer.use_bias:
            self._along(layer, "bias", 0, made, "follows")
        if not _elementwise(layer.activation):
            self._ties.fix(made)
        return made

    def _along(self, layer: Any, weight: str, number: int, channels: Units, part: Part) -> None:
        """Lay channels along an axis; a layer that is called again ties them to those before."""
        place = (layer.name, weight, number)
        before, _ = self._axes.setdefault(place, (channels, part))
        if before is not channels:
            self._ties.tie(before, channels)

    def _joined(self, layer: Any, node: Any, given: list[Units]) -> Units | None:
        """Line up the channels of a concatenation, or tie those of any other operands."""
        if isinstance(layer, layers.Concatenate):
            rank = len(node.outputs[0].shape)
            if layer.axis in (-1, rank - 1):
                return np.concatenate(given)
        elif not _only_numbers_beside(node):
            return None
        return self._tied(given)

    def _tied(self, given: list[Units]) -> Units | None:
        """Tie operands one by one; what is broadcast along the channels is fixed."""
        width = max(map(len, given))
        whole = [channels for channels in given if len(channels) == width]
        for channels in given:
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

_HANDING_ON = {
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
"""Activations whose value at one channel depends on others."""


def _hands_on(layer: Any) -> bool:
    if isinstance(layer, layers.Activation):
        return _elementwise(layer.activation)
    if isinstance(layer, layers.Rescaling):
        return np.ndim(layer.scale) == np.ndim(layer.offset) == 0
    return type(layer) in _HANDING_ON


def _elementwise(activation: Any) -> bool:
    name = getattr(activation, "__name__", None)
    known = name is not None and getattr(keras.activations, name, None) is activation
    return activation is None or (known and name not in _ACROSS_CHANNELS)


def _only_numbers_beside(node: Any) -> bool:
    """Tell whether what a node is given beside tensors are plain numbers."""
    given = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    tensors = (keras.KerasTensor, int, float, bool, type(None))
    return all(isinstance(each, tensors) for each in given)


def _weight(layer: Any, name: str) -> Any:
    (found,) = (weight for weight in layer.weights if weight.name == name)
    return found


def _check_known(layer: Any) -> None:
    module = type(layer).__module__
    if module.partition(".")[0] != "keras":
        raise PupilaError(
            f"The layer {layer.name!r} is a {type(layer).__name__} of {module!r}, not one of "
            f"Keras' own, so what it does to its channels is not known. Put layers of Keras in its "
            f"place, or make a small model with `distill`, which needs no such knowledge."
        )
