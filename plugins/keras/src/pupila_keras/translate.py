"""Translates a Keras 2 model (`tf_keras`) to Keras 3.

Config and weights are translated layer by layer, and nested models stay nested. Some activations
have the same name in Keras 2 and 3 but compute something else, such as `hard_sigmoid`. So both
models run on the same images, and a translation with different outputs is refused.
"""

from __future__ import annotations

import inspect
import json
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pupila import PupilaError
from pupila_keras.graph import LayerCall, graph_ends, valid_name
from pupila_keras.keras_imports import import_keras
from pupila_keras.operators import OPERATOR_CLASSES, as_layer
from pupila_keras.probe import predict_probes
from pupila_keras.reading import library_errors

TOLERANCE = 1e-5
"""Largest allowed difference of outputs; a fraction of the largest output if that exceeds 1."""

_RENAMED = {"alpha": "negative_slope", "batch_input_shape": "batch_shape"}
_NOT_NEEDED = frozenset({"dtype", "sparse", "ragged"})
_INNER_LAYERS = frozenset({"layer", "backward_layer", "cell", "cells"})
"""Settings whose values are layers: of `Bidirectional`, `TimeDistributed`, `RNN` and others."""


def to_keras_3(legacy: Any) -> tuple[Any, float]:
    """Translate the Keras 2 model `legacy`; return the Keras 3 model and the outputs' difference.

    The difference is the largest absolute difference between the outputs of the two models for a
    few random images. If the largest absolute output of `legacy` exceeds 1, the difference is
    divided by that output.

    Raises:
        PupilaError: a layer has no counterpart in Keras 3, or the outputs differ by more than
            `TOLERANCE`.
    """
    entry = _layer(json.loads(legacy.to_json()))
    with library_errors("it cannot be rebuilt in Keras 3"):
        model = import_keras().saving.deserialize_keras_object(entry, safe_mode=True)
    _copy_weights(legacy, model)
    difference = _difference(predict_probes(legacy), predict_probes(model))
    if not difference <= TOLERANCE:
        raise PupilaError(
            f"Rebuilt in Keras 3, the model answers differently: by {difference:.2g}, and no more "
            f"than {TOLERANCE:g} was expected. A layer computes differently in Keras 2 and 3, as "
            "hard_sigmoid does: replace it, or save the model from Keras 3."
        )
    return model, difference


def _difference(expected: NDArray[np.float32], outputs: NDArray[np.float32]) -> float:
    """Return the largest difference, as `TOLERANCE` defines it; NaN if an output is NaN."""
    scale = max(1.0, float(np.abs(expected).max()))
    return float(np.abs(expected - outputs).max()) / scale


def _copy_weights(legacy: Any, model: Any) -> None:
    """Copy the weights of all layers, by name: Keras 2 and 3 may order parallel layers differently.

    Layers of nested models are included.
    """
    for old in legacy.layers:
        new = model.get_layer(valid_name(old.name))
        if hasattr(old, "layers"):
            _copy_weights(old, new)
            continue
        with library_errors(f"the weights of {type(old).__name__} {old.name!r} do not fit Keras 3"):
            new.set_weights(old.get_weights())


def _layer(entry: dict[str, Any]) -> dict[str, Any]:
    """Translate one serialised layer or model, but not its calls in the graph."""
    name, config = entry["class_name"], entry["config"]
    if name in ("Functional", "Model"):
        return _keras_object("keras.src.models.functional", "Functional", _functional(config))
    if name == "Sequential":
        layers = [_layer(layer) for layer in config["layers"]]
        return _keras_object("keras", name, {"name": valid_name(config["name"]), "layers": layers})
    return _keras_object("keras.layers", name, _settings(name, config))


def _keras_object(module: str, name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def _settings(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that the Keras 3 class `name` takes, under the names that Keras 3 uses.

    Initialisers are dropped, as the weights are set later. Data types are dropped, as all layers
    use float32.
    """
    known = _parameters(name, config["name"])
    settings: dict[str, Any] = {}
    for key, value in config.items():
        key = key if key in known else _RENAMED.get(key, key)
        if key in known and key not in _NOT_NEEDED and not key.endswith("_initializer"):
            settings[key] = _inner(value) if key in _INNER_LAYERS else value
    if name == "BatchNormalization" and isinstance(config["axis"], list):
        (settings["axis"],) = config["axis"]
    return settings | {"name": valid_name(config["name"])}


def _inner(value: Any) -> Any:
    """Translate a layer, or a list of layers, in the settings of another layer."""
    if isinstance(value, list):
        return [_layer(layer) for layer in cast("list[dict[str, Any]]", value)]
    return _layer(value)


def _parameters(name: str, layer: str) -> set[str]:
    """Return the names of the settings that the Keras 3 layer class `name` takes.

    Raises:
        PupilaError: Keras 3 has no such class; the message names the layer `layer`.
    """
    kind = getattr(import_keras().layers, name, None)
    if kind is None:
        raise PupilaError(
            f"Layer {layer!r} is a {name}, which has no counterpart in Keras 3: replace it in the "
            "program that made the model, and save again."
        )
    known: set[str] = set()
    for constructor in [base.__init__ for base in kind.__mro__ if "__init__" in vars(base)]:
        parameters = inspect.signature(constructor).parameters.values()
        known |= {parameter.name for parameter in parameters}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break  # passes no other settings to its base class
    return known


def _functional(config: dict[str, Any]) -> dict[str, Any]:
    classes = {layer["name"]: layer["class_name"] for layer in config["layers"]}
    return {
        "name": valid_name(config["name"]),
        "trainable": config.get("trainable", True),
        "layers": [_layer_with_calls(layer, classes) for layer in config["layers"]],
        "input_layers": graph_ends(config["input_layers"], classes),
        "output_layers": graph_ends(config["output_layers"], classes),
    }


def _layer_with_calls(entry: dict[str, Any], classes: dict[str, str]) -> dict[str, Any]:
    """Translate a layer together with its calls in the graph."""
    name = entry["name"]
    calls = [LayerCall.of(node, name) for node in entry["inbound_nodes"]]
    if entry["class_name"] in OPERATOR_CLASSES:
        (call,) = calls  # in Keras 2 every use of an operation is its own layer
        kind, settings, call = as_layer(name, entry["config"]["function"], call)
        layer = _keras_object("keras.layers", kind, settings | {"name": valid_name(name)})
        calls = [call]
    else:
        layer = _layer(entry)
        if _takes_initial_state(entry["class_name"]):
            calls = [call.with_initial_state() for call in calls]
    nodes = [call.serialise(classes) for call in calls]
    return layer | {"name": valid_name(name), "inbound_nodes": nodes}


def _takes_initial_state(name: str) -> bool:
    """Return whether layers of a class read a sequence and, in a second argument, their state."""
    layers = import_keras().layers
    kind = getattr(layers, name, None)
    return kind is not None and issubclass(kind, layers.RNN | layers.Bidirectional)
