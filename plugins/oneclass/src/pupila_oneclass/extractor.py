"""Features of a convolutional net: its last feature map, each channel's mean over all positions.

The last feature map is what the last global pooling reads, or the last one there is, where a net
has none. Where its channels are the classes themselves, as in SqueezeNet, they say no more than the
answer does, and what the convolution reads that makes them is taken instead. Any other layer is
taken by its name.
"""

from __future__ import annotations

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

_Made = Sequence[tuple[Any, Any]]
"""Layers in the order in which they are called, and what each gave."""


def extractor(model: Any, classes: int, layer: str | None = None) -> Any:
    """Return a model of the same layers that gives features `(batch, columns)`.

    `classes` is the number of the model's own answers. Its layers are not copied.

    Raises:
        PupilaError: there is no such layer, no feature map, or the model is no graph of layers.
    """
    calls = Calls(model)
    found = _last_map(calls.made, classes, model) if layer is None else _named(calls.made, layer)
    if len(found.shape) == 4:
        found = layers.GlobalAveragePooling2D(name="one_class_pool")(found)
    return keras.Model(calls.image, found, name=model.name)


def unfreeze_last_stage(model: Any) -> None:
    """Let the last stage of an extractor be trained, and nothing else of it.

    That is every layer with a kernel whose output has as many positions as that of the last one.
    Statistics of batch normalisation stay: a batch of one class has others than what was learned.

    Raises:
        PupilaError: no layer has a kernel.
    """
    kernels = [(each, given.shape[1:-1]) for each, given in Calls(model).made if _has_kernel(each)]
    if not kernels:
        raise PupilaError(
            f"The teacher {model.name!r} has no layer with a kernel before its features: there is "
            f"nothing to fine-tune. Leave `fine_tune` out, or name a later `layer`."
        )
    stage = [each for each, size in kernels if size == kernels[-1][1]]
    for each in model.layers:
        each.trainable = each in stage


def _has_kernel(layer: Any) -> bool:
    return any(len(weight.shape) > 1 for weight in getattr(layer, "weights", ()))


def _last_map(made: _Made, classes: int, model: Any) -> Any:
    pooled = [inputs_of(given)[0] for layer, given in made if isinstance(layer, _GLOBAL)]
    maps = pooled or [given for _, given in made if len(getattr(given, "shape", ())) == 4]
    if not maps:
        raise PupilaError(
            f"The teacher {model.name!r} has no feature map (batch, height, width, channels) to "
            f"take features from. Name the `layer` whose output they are: {_listed(made)}."
        )
    return _before_classes(maps[-1], made) if maps[-1].shape[-1] == classes else maps[-1]


def _before_classes(maps: Any, made: _Made) -> Any:
    """Return what is read by the convolution that makes maps of the classes, if one does."""
    channels = maps.shape[-1]
    convolutions = [
        given
        for layer, given in made
        if isinstance(layer, layers.Conv2D) and given.shape[-1] == channels
    ]
    return inputs_of(convolutions[-1])[0] if convolutions else maps


def _named(made: _Made, name: str) -> Any:
    found = {layer.name: given for layer, given in made}
    if name not in found:
        raise PupilaError(
            f"The teacher has no layer {name!r}.{nearest(name, found)} Its last ones are: "
            f"{_listed(made)}."
        )
    shape = getattr(found[name], "shape", ())
    if len(shape) not in (2, 4):
        raise PupilaError(
            f"The layer {name!r} gives {tuple(shape)!r}, where features (batch, columns) or maps "
            f"(batch, height, width, channels) were expected. Name another `layer`: "
            f"{_listed(made)}."
        )
    return found[name]


def _listed(made: _Made) -> str:
    return ", ".join(layer.name for layer, _ in made[-_SHOWN_LAYERS:])
