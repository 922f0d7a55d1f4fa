"""Recognises Keras archives with the layer of this package; imports no framework."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

REGISTERED = "average_weights>AddPositions"
"""Name under which Keras writes the layer `average_weights.positions.AddPositions`."""


def recognises(source: Path) -> bool:
    """Return whether a file is a `.keras` archive with a layer of this package."""
    try:
        return REGISTERED in json.dumps(config(source))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return False


def config(source: Path) -> Any:
    """Return the configuration of the model in a `.keras` archive."""
    with zipfile.ZipFile(source) as archive:
        return json.loads(archive.read("config.json"))


def foreign_classes(value: Any) -> set[str]:
    """Return the names of all classes in a configuration that are of neither Keras nor ours."""
    if isinstance(value, list):
        return {name for item in value for name in foreign_classes(item)}
    if not isinstance(value, dict):
        return set()
    inner = {name for item in value.values() for name in foreign_classes(item)}
    module = str(value.get("module") or "keras")
    known = value.get("registered_name") == REGISTERED or module.split(".")[0] == "keras"
    return inner if known or module == "builtins" else {f"{module}.{value['class_name']}", *inner}
