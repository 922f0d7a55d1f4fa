"""Reads whole models in HDF5, as Keras 2 wrote by default and Keras 3 still can."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import h5py

from pupila import OutputContract, Product, PupilaError
from pupila_keras import legacy
from pupila_keras.border import import_keras
from pupila_keras.finish import finish, is_legacy
from pupila_keras.reading import library, naming
from pupila_keras.safety import check_config

_WEIGHTS_ONLY = ("layer_names", "layers", "_layer_checkpoint_dependencies", "model_weights")
"""Attributes and groups by which Keras 2 and 3 store weights."""
_CUT_SHORT = re.compile(r"truncated file: eof = (\d+),.* stored_eof = (\d+)")
"""How the HDF5 library says how many bytes are there, and how many the file should have."""


def load(source: Path, output: OutputContract, folder: Path) -> Product:
    """Write the model of an HDF5 file into `folder` as a Keras 3 model.

    Raises:
        PupilaError: it is damaged, holds no whole model, would run code, or is no classifier of
            images with the declared output.
    """
    with naming(source):
        config, version = _config(source)
        check_config(config)
        return finish(_model(source, config, version), output, folder, version)


def _config(source: Path) -> tuple[dict[str, Any], str]:
    """Return the model's config, and the Keras version that wrote it."""
    try:
        with h5py.File(source) as file:
            attributes: dict[str, Any] = dict(file.attrs)
            names = {*file, *attributes}
    except OSError as error:
        raise PupilaError(_why_unreadable(error)) from error
    if "model_config" not in attributes:
        raise PupilaError(_without_config(names))
    with library("its config is no JSON"):
        return json.loads(attributes["model_config"]), str(attributes.get("keras_version", "2"))


def _why_unreadable(error: OSError) -> str:
    if cut := _CUT_SHORT.search(str(error)):
        there, whole = (int(number) for number in cut.groups())
        return f"it is cut short: {there:,} of its {whole:,} bytes are there. Copy it again."
    if "signature not found" in str(error):
        return "it is no HDF5 file, as a .h5 must be: copy it again, or name it by what it is."
    return "it is an HDF5 file, but damaged: copy it again."


def _without_config(names: set[str]) -> str:
    if names.intersection(_WEIGHTS_ONLY):
        return (
            "it holds weights only, no architecture: load them into the model in the program that "
            "made it, and save all of it with model.save('model.keras')."
        )
    return "it is an HDF5 file, but holds no Keras model."


def _model(source: Path, config: dict[str, Any], version: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / "model.h5"  # both Keras lines go by the suffix
        named.symlink_to(source.resolve())
        if is_legacy(version):
            return legacy.build(config, str(named))
        with library("Keras cannot read it"):
            return import_keras().saving.load_model(named, compile=False, safe_mode=True)
