"""Builds a thinner model: the same graph, with fewer filters in its layers."""

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
"""Highest momentum of the moving averages in batch normalisation. Every cut changes what is
normalised. With the momentum of large models, 0.99 or 0.999, the averages would hardly follow in a
few dozen training steps."""


def rebuild(
    model: Any,
    channels: Channels,
    keep: Keep,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Any:
    """Return a new model with only the kept units and their weights, and all layers trainable.

    `model` must be flat and is not changed; `channels` has its units. Layers keep their names.
    `settings` are changes to the configuration of layers, by layer name.

    Batch normalisation becomes trainable too, even if it was frozen in a teacher's backbone: its
    statistics no longer fit a cut model. Its momentum becomes at most 0.9, so that the moving
    averages follow in the few training steps of a small dataset.
    """
    settings = settings or {}
    thinner: dict[str, Any] = {}

    def call(layer: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(layer, layers.Layer):
            return layer(*arguments, **options)
        if layer.name not in thinner:
            changes = _widths(layer, channels, keep) | dict(settings.get(layer.name, {}))
            thinner[layer.name] = _copy_layer(layer, changes)
        return thinner[layer.name](*arguments, **options)

    (original,) = model.inputs
    image = keras.Input(batch_shape=original.shape, dtype=original.dtype, name=original.name)
    outputs: Any = model._run_through_graph(image, call_fn=call)
    rebuilt = keras.Model(image, keras.tree.flatten(outputs)[0], name=model.name)
    _set_weights(model, thinner, channels, keep)
    return rebuilt


def copy_model(model: Any) -> Any:
    """Return a trainable copy of a flat model, with its own, newly seeded random generators."""
    channels = channels_of(model)
    return rebuild(model, channels, keep_all(channels))


def keep_all(channels: Channels) -> Keep:
    """Return a mask that keeps all units."""
    return np.ones(channels.count, bool)


def _widths(layer: Any, channels: Channels, keep: Keep) -> dict[str, Any]:
    """Return the settings that give a layer its new number of output channels."""
    width = len(kept_entries(channels.widths[layer.name], keep))
    if isinstance(layer, layers.Reshape):
        return {"target_shape": (*layer.target_shape[:-1], width)}
    if isinstance(layer, layers.Dense):
        return {"units": width}
    if isinstance(layer, layers.Conv2D | layers.SeparableConv2D):
        return {"filters": width}
    return {}


def _copy_layer(layer: Any, changes: Mapping[str, Any]) -> Any:
    config = layer.get_config() | {"trainable": True} | changes
    config.pop("build_config", None)
    if isinstance(layer, layers.BatchNormalization):
        config["momentum"] = min(layer.momentum, _MOMENTUM)
    return layer.__class__.from_config(config)


def _set_weights(model: Any, thinner: Mapping[str, Any], channels: Channels, keep: Keep) -> None:
    """Copy the kept entries of each weight of `model` into the layers of the thinner model."""
    cuts = {(axis.layer, axis.weight, axis.number): axis.units for axis in channels.axes}
    for layer in model.layers:
        if layer.name not in thinner:
            continue
        values = [np.asarray(weight) for weight in layer.weights]
        for index, weight in enumerate(layer.weights):
            for number in range(len(weight.shape)):
                units = cuts.get((layer.name, weight.name, number))
                if units is not None:
                    kept = kept_entries(units, keep)
                    values[index] = np.take(values[index], kept, axis=number)
        thinner[layer.name].set_weights(values)
