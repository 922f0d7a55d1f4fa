"""Extracts features from a convolutional net: the mean of each channel of its last feature map.

The last feature map is the input of the last global pooling. In a net without global pooling, it is
the last map of the net. In some nets, such as SqueezeNet, the channels of the last map are the
classes, so the map has no more information than the prediction. Then the input of the convolution
that makes these channels is used instead. Maps that are the answer of a model, such as the heat map
of a locator, are not features. Settings can name any other layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pupila import PupilaError
from pupila.errors import nearest
from pupila.keras_files import import_keras
from pupila.keras_graphs import Calls, inputs_of

keras = import_keras()
layers = keras.layers

_GLOBAL = (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)
_SHOWN_LAYERS = 8
_REDUCTION, _LAST_REDUCTION = 4, 8
"""How much smaller than the image early maps are, at least and at most."""

_Calls = Sequence[tuple[Any, Any]]
"""Pairs of a layer and its output, in the order in which the layers are called."""


def build_extractor(model: Any, classes: int, layer: str | None = None) -> Any:
    """Return a model of the same layers that outputs features `(batch, columns)`.

    `classes` is the number of classes that `model` predicts. `layer` names the layer whose output
    becomes the features; None means the last feature map. The layers are shared, not copied.

    Raises:
        PupilaError: the layer or a feature map is missing, or the model is not a graph of layers.
    """
    calls = Calls(model)
    features = _last_map(calls, classes, model) if layer is None else _named(calls.made, layer)
    if len(features.shape) == 4:
        features = layers.GlobalAveragePooling2D(name="one_class_pool")(features)
    return keras.Model(calls.image, features, name=model.name)


def build_early_extractor(model: Any, classes: int) -> Any:
    """Return a model of the same layers that outputs the means of early maps `(batch, columns)`.

    These are the last maps of each size between an eighth and a quarter of the image's rows, side
    by side. If there are none, it is the last feature map.

    Raises:
        PupilaError: the model has no feature map, or is not a graph of layers.
    """
    calls = Calls(model)
    rows = calls.image.shape[1]
    maps = {
        output.shape[1]: output
        for layer, output in _maps(calls)
        if math.ceil(rows / _LAST_REDUCTION) <= output.shape[1] <= math.ceil(rows / _REDUCTION)
        and not isinstance(layer, layers.ZeroPadding2D)
    }
    chosen = [*maps.values()] or [_last_map(calls, classes, model)]
    means = [
        layers.GlobalAveragePooling2D(name=f"one_class_pool_{number}")(output)
        for number, output in enumerate(chosen)
    ]
    features = means[0] if len(means) == 1 else layers.Concatenate(name="one_class_maps")(means)
    return keras.Model(calls.image, features, name=model.name)


def unfreeze_last_stage(model: Any) -> None:
    """Make the last stage of an extractor trainable, and freeze the rest.

    Only layers with a kernel count. The last stage is the last of these layers, and all others that
    have an output of the same height and width. Batch normalisation stays frozen, since images of
    only one class have other statistics than the images that the net was trained on.

    Raises:
        PupilaError: no layer has a kernel.
    """
    kernels = [
        (layer, output.shape[1:-1]) for layer, output in Calls(model).made if _has_kernel(layer)
    ]
    if not kernels:
        raise PupilaError(
            f"The teacher {model.name!r} has no layer with a kernel before its features: there is "
            f"nothing to fine-tune. Leave `fine_tune` out, or name a later `layer`."
        )
    stage = [layer for layer, size in kernels if size == kernels[-1][1]]
    for layer in model.layers:
        layer.trainable = layer in stage


def _has_kernel(layer: Any) -> bool:
    return any(len(weight.shape) > 1 for weight in getattr(layer, "weights", ()))


def _maps(calls: Calls) -> _Calls:
    """Return the feature maps `(batch, height, width, channels)` of a model, with their layers.

    Maps from which the answer is read without another kernel or global pooling are left out.
    """
    made_by = {id(output): layer for layer, output in calls.made}
    answer: set[int] = set()
    waiting = keras.tree.flatten(calls.output)
    while waiting:
        output = waiting.pop()
        layer = made_by.get(id(output))
        if layer is None or isinstance(layer, _GLOBAL) or id(output) in answer:
            continue
        answer.add(id(output))
        if not _has_kernel(layer):
            waiting += inputs_of(output)
    return [
        (layer, output)
        for layer, output in calls.made
        if len(getattr(output, "shape", ())) == 4 and id(output) not in answer
    ]


def _last_map(calls: Calls, classes: int, model: Any) -> Any:
    pooled = [inputs_of(output)[0] for layer, output in calls.made if isinstance(layer, _GLOBAL)]
    maps = pooled or [output for _, output in _maps(calls)]
    if not maps:
        raise PupilaError(
            f"The teacher {model.name!r} has no feature map (batch, height, width, channels) to "
            f"take features from. Name the `layer` whose output they are: {_names(calls.made)}."
        )
    return _before_classes(maps[-1], calls.made) if maps[-1].shape[-1] == classes else maps[-1]


def _before_classes(maps: Any, calls: _Calls) -> Any:
    """Return the input of the last convolution that has as many output channels as `maps`.

    If there is no such convolution, return `maps`.
    """
    channels = maps.shape[-1]
    convolutions = [
        output
        for layer, output in calls
        if isinstance(layer, layers.Conv2D) and output.shape[-1] == channels
    ]
    return inputs_of(convolutions[-1])[0] if convolutions else maps


def _named(calls: _Calls, name: str) -> Any:
    outputs = {layer.name: output for layer, output in calls}
    if name not in outputs:
        raise PupilaError(
            f"The teacher has no layer {name!r}.{nearest(name, outputs)} Its last ones are: "
            f"{_names(calls)}."
        )
    shape = getattr(outputs[name], "shape", ())
    if len(shape) not in (2, 4):
        raise PupilaError(
            f"The layer {name!r} gives {tuple(shape)!r}, where features (batch, columns) or maps "
            f"(batch, height, width, channels) were expected. Name another `layer`: "
            f"{_names(calls)}."
        )
    return outputs[name]


def _names(calls: _Calls) -> str:
    return ", ".join(layer.name for layer, _ in calls[-_SHOWN_LAYERS:])
