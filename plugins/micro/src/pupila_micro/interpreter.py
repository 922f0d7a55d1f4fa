"""The package `tflite-micro`: its interpreter, and the tool that aligns a flatbuffer."""

from __future__ import annotations

from importlib.metadata import version

from pupila import PupilaError

try:
    from tflite_micro import runtime
    from tflite_micro.tensorflow.lite.micro.tools.tflite_flatbuffer_align_wrapper import (
        align_tflite_model,
    )
except ImportError as error:
    raise PupilaError(
        f"TFLite Micro's interpreter does not load: {error}. `tflite-micro` has wheels for Linux "
        f"on x86_64 alone: run this step there, after `pip install tflite-micro`."
    ) from None

NAME = f"TFLite Micro {version('tflite-micro')}"

__all__ = ["NAME", "align_tflite_model", "runtime"]
