"""Quantises TFLite flatbuffers after training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from pupila import Config, Technique, hookimpl

Borders = Literal["float", "int8"]


class QuantizeInt8(Config):
    """Settings of `quantize-int8`."""

    borders: Borders = Field(
        default="float",
        description=(
            "Type of the input and output. float: as before, which browsers need (LiteRT.js takes "
            "no int8); int8: for microcontrollers and accelerators without floats."
        ),
    )
    calibration_images: int = Field(
        default=100,
        ge=1,
        description="Training images whose activations set the ranges, shared among the classes.",
    )


@hookimpl
def pupila_techniques() -> Iterable[Technique]:
    """Yield the three ways to quantise one float flatbuffer."""
    yield Technique(
        name="quantize-float16",
        summary="Weights in float16, computed in float32: half the size, nearly the same answers",
        accepts=frozenset({"tflite"}),
        produces="tflite",
        implementation="pupila_quantize.techniques:quantize_float16",
    )
    yield Technique(
        name="quantize-dynamic",
        summary="Weights in int8, activations quantised at run time: a quarter of the size",
        accepts=frozenset({"tflite"}),
        produces="tflite",
        implementation="pupila_quantize.techniques:quantize_dynamic",
    )
    yield Technique(
        name="quantize-int8",
        summary="Weights and activations in int8, calibrated on training images",
        config=QuantizeInt8,
        accepts=frozenset({"tflite"}),
        produces="tflite",
        needs_data=True,
        implementation="pupila_quantize.techniques:quantize_int8",
    )
