"""The package `tflite-micro`: its interpreter, and the tool that aligns a flatbuffer."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

from pupila import PupilaError

try:
    _micro: Any = import_module("tflite_micro")  # it has no types
    _aligning: Any = import_module(
        "tflite_micro.tensorflow.lite.micro.tools.tflite_flatbuffer_align_wrapper"
    )
except ImportError as error:
    raise PupilaError(
        f"TFLite Micro's interpreter does not load: {error}. `tflite-micro` has wheels for Linux "
        f"on x86_64 alone: run this step there, after `pip install tflite-micro`."
    ) from None

NAME = f"TFLite Micro {version('tflite-micro')}"
runtime = _micro.runtime
align_tflite_model: Callable[[str, str], None] = _aligning.align_tflite_model

__all__ = ["NAME", "align_tflite_model", "runtime"]
