"""Imports Keras 3, Keras 2 and TensorFlow, without their start-up messages."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pupila.keras_files import import_keras, import_tensorflow

__all__ = ["import_keras", "import_tensorflow", "import_tf_keras"]


def import_tf_keras() -> Any:
    """Return the module `tf_keras`: Keras 2, which can be imported beside Keras 3."""
    import_keras()
    return import_module("tf_keras")
