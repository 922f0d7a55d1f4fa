"""Imports the interpreter of the package `tflite-micro`."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

from pupila import PupilaError

try:
    _micro: Any = import_module("tflite_micro")  # has no type annotations
except ImportError as error:
    raise PupilaError(
        f"TFLite Micro's interpreter does not load: {error}. `tflite-micro` has wheels for Linux "
        f"on x86_64 alone: run this step there, after `pip install tflite-micro`."
    ) from None

NAME = f"TFLite Micro {version('tflite-micro')}"
runtime = _micro.runtime

__all__ = ["NAME", "runtime"]
