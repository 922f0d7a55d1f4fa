"""Loads whole models from HDF5 files, the default format of Keras 2. Keras 3 writes it too."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from pupila import OutputSpec, PupilaError, StepResult
from pupila.pixel_scaling import PixelScaling
from pupila_keras import legacy
from pupila_keras.building import check_weights
from pupila_keras.finish import finish, is_legacy
from pupila_keras.keras_imports import import_keras
from pupila_keras.reading import file_errors, for_inference, library_errors, parse_config
from pupila_keras.safety import bare_operations, check_config
from pupila_keras.storage import check_storage, open_hdf5

_WEIGHTS_ONLY = ("layer_names", "layers", "_layer_checkpoint_dependencies", "model_weights")
"""Names of attributes and groups that show that a file has only weights."""


def load(
    source: Path, output: OutputSpec, folder: Path, scaling: PixelScaling | None = None
) -> StepResult:
    """Write the model of an HDF5 file into `folder` as a Keras 3 model.

    `scaling`, if any, is built into it.

    Raises:
        PupilaError: the file is damaged or not a whole model, the file would run code or read other
            files, or the model is not a classifier of images with the declared output.
    """
    with file_errors(source):
        check_storage(source)
        config, version = _config(source)
        if is_legacy(version):
            config = for_inference(config)
        else:
            _check_operations(config)
        check_config(config)
        return finish(_model(source, config, version), output, folder, version, scaling)


def _config(source: Path) -> tuple[dict[str, Any], str]:
    """Return the model's config, and the Keras version that wrote it."""
    with open_hdf5(source) as file:
        attributes: dict[str, Any] = dict(file.attrs)
        names: set[str] = {*file, *attributes}
    if "model_config" not in attributes:
        raise PupilaError(_without_config(names))
    return parse_config(attributes["model_config"]), str(attributes.get("keras_version", "2"))


def _check_operations(config: dict[str, Any]) -> None:
    """Refuse operations such as `x / 127.5`, whose module Keras 3 does not write into HDF5 files.

    Raises:
        PupilaError: there is one, which the message names; Keras itself cannot read it again.
    """
    for name in bare_operations(config):
        raise PupilaError(
            f"it holds {name}, which Keras 3 writes into .h5 files but cannot read from them: save "
            f"the model with model.save('model.keras')."
        )


def _without_config(names: set[str]) -> str:
    if names.intersection(_WEIGHTS_ONLY):
        return (
            "it only holds weights, not the architecture: load them into the model in the program "
            "that made it, and save the whole model with model.save('model.keras')."
        )
    return "it is an HDF5 file, but not a Keras model."


def _model(source: Path, config: dict[str, Any], version: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / "model.h5"  # Keras 2 and 3 decide by the suffix
        named.symlink_to(source.resolve())
        if is_legacy(version):
            return legacy.build(config, named, source)
        check_weights(config, source)
        with library_errors("Keras cannot read it"):
            return import_keras().saving.load_model(named, compile=False, safe_mode=True)
