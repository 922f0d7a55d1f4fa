"""Builds a model of the Keras 2 line from its config, with the installed `tf_keras`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from pupila_keras.border import import_tf_keras
from pupila_keras.building import check_sizes, legacy_sizes
from pupila_keras.reading import library

_TOO_NEW = {"InputLayer": ("optional",)}
"""Settings that tf_keras 2.20 and newer write and 2.19 refuses; none changes what is computed."""


def build(config: dict[str, Any], weights: Path, source: Path) -> Any:
    """Return the `tf_keras` model of a checked config of `source`, with weights in HDF5.

    `tf_keras.models.load_model` is not used: it refuses files of newer versions of its own line
    ("Unrecognized keyword arguments: ['optional']").

    Raises:
        PupilaError: tf_keras cannot build it, it would take far more memory than the file, or the
            weights do not fit.
    """
    tf_keras = import_tf_keras()

    def without_weights() -> Any:
        if "module" in config:
            return tf_keras.saving.deserialize_keras_object(_understood(config))
        return tf_keras.models.model_from_config(_understood(config))

    with library("its config is damaged"):
        sizes = legacy_sizes(without_weights)
    check_sizes(*sizes, source)
    with library("its config is damaged"):
        model = without_weights()
    with library("its weights cannot be read"):
        model.load_weights(str(weights))
    return model


def _understood(value: Any) -> Any:
    """Copy a config without the settings that this tf_keras does not know."""
    if isinstance(value, list):
        return [_understood(each) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    named = cast("dict[str, Any]", value)
    copy = {name: _understood(each) for name, each in named.items() if name != "compile_config"}
    for name in _TOO_NEW.get(str(copy.get("class_name")), ()):
        copy["config"].pop(name, None)
    return copy
