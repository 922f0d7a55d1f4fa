"""Builds a thinner model: the same graph, of layers that have fewer filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pupila.keras_files import import_keras
from pupila_prune.channels import Channels, Keep, kept_entries
from pupila_prune.graph import channels_of

keras = import_keras()
layers = keras.layers

_MOMENTUM = 0.9
"""At most, of moving averages. Files of large models have 0.99 or 0.999, with which the statistics
of a few dozen steps would hardly be seen, though every cut changes what is normalised."""


def rebuild(
    model: Any,
    channels: Channels,
    keep: Keep,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Any:
    """Return a new model with the kept units only, the kept weights, and all layers trainable.

    `model` is flat and `channels` are its own; it stays as it is. Layers keep their names.
    `settings` are changes of layers' own settings, by the layer's name.

    Normalisation by batch is trainable too, even where it was frozen in the backbone of a teacher:
    what it normalises is no longer what its statistics were taken from. Its momentum becomes 0.9 at
    most, so that the moving averages follow in the few steps that small data gives.
    """
    settings = settings or {}
    thinner: dict[str, Any] = {}

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(layer, layers.Layer):
            return layer(*arguments, **options)
        if layer.name not in thinner:
            changes = _widths(layer, channels, keep) | dict(settings.get(layer.name, {}))
            thinner[layer.name] = _copied(layer, changes)
        return thinner[layer.name](*arguments, **options)

    (given,) = model.inputs
    image = keras.Input(batch_shape=given.shape, dtype=given.dtype, name=given.name)
    outputs: Any = model._run_through_graph(image, call_fn=call)
    rebuilt = keras.Model(image, keras.tree.flatten(outputs)[0], name=model.name)
    _set_weights(model, thinner, channels, keep)
    return rebuilt


def copy_of(model: Any) -> Any:
    """Return a copy of a flat model, with random generators of its own, seeded anew."""
    channels = channels_of(model)
    return rebuild(model, channels, uncut(channels))


def uncut(channels: Channels) -> Keep:
    """Keep all units."""
    return np.ones(channels.count, bool)


def _widths(layer: Any, channels: Channels, keep: Keep) -> dict[str, Any]:
    """Return the settings that say how many channels a layer gives."""
    width = len(kept_entries(channels.widths[layer.name], keep))
    if isinstance(layer, layers.Reshape):
        return {"target_shape": (*layer.target_shape[:-1], width)}
    if isinstance(layer, layers.Dense):
        return {"units": width}
    if isinstance(layer, layers.Conv2D | layers.SeparableConv2D):
        return {"filters": width}
    return {}


def _copied(layer: Any, changes: Mapping[str, Any]) -> Any:
    config = layer.get_config() | {"trainable": True} | changes
    config.pop("build_config", None)
    if isinstance(layer, layers.BatchNormalization):
        config["momentum"] = min(layer.momentum, _MOMENTUM)
    return layer.__class__.from_config(config)


def _set_weights(model: Any, thinner: Mapping[str, Any], channels: Channels, keep: Keep) -> None:
    """Copy what is kept of each weight."""
    cuts = {(axis.layer, axis.weight, axis.number): axis.units for axis in channels.axes}
    for layer in model.layers:
        if layer.name not in thinner:
            continue
        values = [np.asarray(weight) for weight in layer.weights]
        for place, weight in enumerate(layer.weights):
            for number in range(len(weight.shape)):
                units = cuts.get((layer.name, weight.name, number))
                if units is not None:
                    kept = kept_entries(units, keep)
                    values[place] = np.take(values[place], kept, axis=number)
        thinner[layer.name].set_weights(values)
