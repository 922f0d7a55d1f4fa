"""Quantises TFLite flatbuffers after training."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, model_validator

from pupila import Config, Technique, hookimpl

Borders = Literal["float", "int8"]


class Calibrated(Config):
    """Settings of whatever is calibrated, as `quantize-int16x8`."""

    calibration_images: int = Field(
        default=100,
        ge=1,
        description="Training images whose activations set the ranges, shared among the classes.",
    )


class QuantizeInt8(Calibrated):
    """Settings of `quantize-int8`."""

    borders: Borders = Field(
        default="float",
        description=(
            "Type of the input and output. float: as before, which browsers need (LiteRT.js takes "
            "no int8); int8: for microcontrollers and accelerators without floats."
        ),
    )


class QuantizeInt4(QuantizeInt8):
    """Settings of `quantize-int4`."""

    block: Literal[32, 64, 128, 256] | None = Field(
        default=None,
        description="Inputs of a dense layer that share a scale; by default all of an output do. "
        "With blocks, activations are quantised at run time and the borders are in float.",
    )

    @model_validator(mode="after")
    def _borders_fit(self) -> Self:
        if self.block is not None and self.borders != "float":
            raise ValueError("`block` needs `borders: float`: its kernels quantise at run time")
        return self


class QuantizeMixed(QuantizeInt8):
    """Settings of `quantize-mixed`."""

    budget: float = Field(
        default=0.01,
        ge=0,
        lt=1,
        description="Accuracy that may be lost on the validation images, a fraction: layers stay "
        "in float, the most sensitive first, until no more is.",
    )


@hookimpl
def pupila_techniques() -> Iterable[Technique]:
    """Yield the ways to quantise one float flatbuffer."""
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
    yield Technique(
        name="quantize-int4",
        summary="Weights in int4 where there are kernels for it, int8 in the rest, calibrated",
        config=QuantizeInt4,
        accepts=frozenset({"tflite"}),
        produces="tflite",
        needs_data=True,
        implementation="pupila_quantize.techniques:quantize_int4",
    )
    yield Technique(
        name="quantize-int16x8",
        summary="Weights in int8, activations in int16: nearly exact, and slow",
        config=Calibrated,
        accepts=frozenset({"tflite"}),
        produces="tflite",
        needs_data=True,
        implementation="pupila_quantize.techniques:quantize_int16x8",
    )
    yield Technique(
        name="quantize-mixed",
        summary="Int8, but for the layers that lose too much accuracy; shows which they are",
        config=QuantizeMixed,
        accepts=frozenset({"tflite"}),
        produces="tflite",
        needs_data=True,
        implementation="pupila_quantize.techniques:quantize_mixed",
    )
