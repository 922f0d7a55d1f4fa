"""Builds a Keras 2 model from its config, with the installed `tf_keras`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from pupila_keras.building import check_sizes, legacy_sizes
from pupila_keras.keras_imports import import_tf_keras
from pupila_keras.reading import library_errors

_TOO_NEW = {"InputLayer": ("optional",)}
"""Settings by class that tf_keras 2.20 and newer write, but 2.19 refuses. Outputs are the same."""


def build(config: dict[str, Any], weights: Path, source: Path) -> Any:
    """Build a `tf_keras` model from a checked `config`, with weights from the HDF5 file `weights`.

    `source` is the model's file, whose size limits the memory that the model may take.
    `tf_keras.models.load_model` is not used, as it refuses files of newer Keras 2 versions
    ("Unrecognized keyword arguments: ['optional']").

    Raises:
        PupilaError: tf_keras cannot build the model, the model would take far more memory than its
            file, or the weights do not fit.
    """
    tf_keras = import_tf_keras()

    def build_unloaded() -> Any:
        if "module" in config:
            return tf_keras.saving.deserialize_keras_object(_known_settings(config))
        return tf_keras.models.model_from_config(_known_settings(config))

    with library_errors("its config is damaged"):
        sizes = legacy_sizes(build_unloaded)
    check_sizes(*sizes, source)
    with library_errors("its config is damaged"):
        model = build_unloaded()
    with library_errors("its weights cannot be read"):
        model.load_weights(str(weights))
    return model


def _known_settings(value: Any) -> Any:
    """Return a copy of a config without the settings that the installed tf_keras does not know."""
    if isinstance(value, list):
        return [_known_settings(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    items = cast("dict[str, Any]", value).items()
    copy = {name: _known_settings(item) for name, item in items if name != "compile_config"}
    for name in _TOO_NEW.get(str(copy.get("class_name")), ()):
        copy["config"].pop(name, None)
    return copy
