"""Imports of the two Keras lines and TensorFlow, without their start-up chatter."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pupila.keras_files import import_keras, import_tensorflow

__all__ = ["import_keras", "import_tensorflow", "import_tf_keras"]


def import_tf_keras() -> Any:
    """Return `tf_keras`, the Keras 2 line; it lives beside Keras 3 in one process."""
    import_keras()
    return import_module("tf_keras")
