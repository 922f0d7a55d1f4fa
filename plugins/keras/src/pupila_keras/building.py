"""Builds a Keras 3 model without its weights, to know what they would take."""

from __future__ import annotations

from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

from pupila_keras.border import import_keras
from pupila_keras.reading import library
from pupila_keras.storage import check_unpacked

_BYTES = 4
"""Of a weight in float32."""


def check_weights(config: dict[str, Any], source: Path) -> None:
    """Refuse a model whose layers would take far more memory than the file has weights for.

    Keras makes the variables of all layers before it looks for their weights. Here it makes none:
    in a stateless scope they have shapes only.

    Raises:
        PupilaError: it does, or Keras cannot build it.
    """
    keras = import_keras()
    with library("Keras cannot read it"):
        try:
            with keras.StatelessScope(initialize_variables=False):
                model = _built(keras, deepcopy(config))
            count = int(model.count_params()) if model.built else 0
        finally:
            keras.utils.clear_session()  # which forgets the variables that wait to be made
    check_unpacked(_BYTES * count, source.stat().st_size)


def _built(keras: Any, config: dict[str, Any]) -> Any:
    """Build a model as Keras does: HDF5 files do not say of which module the model's class is."""
    if "module" in config:
        return keras.saving.deserialize_keras_object(config, safe_mode=True)
    of_hdf5 = import_module("keras.src.legacy.saving.saving_utils")
    return of_hdf5.model_from_config(config)
