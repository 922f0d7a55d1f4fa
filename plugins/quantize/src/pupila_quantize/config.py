"""Settings of all techniques of this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from pupila import Config
from pupila.training.schedule import EpochChoice, Schedule

IoType = Literal["float", "int8"]
Correction = Literal["none", "bias", "gptq"]


class WithIoType(Config):
    """Settings of every int8 form."""

    former_names: ClassVar[Mapping[str, str]] = {"borders": "io_type"}

    io_type: IoType = Field(
        default="float",
        description=(
            "Type of the input and output. float: as before, which browsers need (LiteRT.js takes "
            "no int8), and the softmax or sigmoid that ends the model is computed in float; int8: "
            "for microcontrollers and accelerators without floats, and what ended in a softmax "
            "ends in its logits."
        ),
    )


class Calibrated(Config):
    """Settings of whatever is calibrated, as `quantize-int16x8`."""

    calibration_images: int = Field(
        default=100,
        ge=1,
        description="Training images whose activations set the ranges, shared among the classes.",
    )


class QuantizeInt8(WithIoType, Calibrated):
    """Settings of `quantize-int8`."""

    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "correction": {"biases": "bias", "rounding": "gptq"}
    }

    correction: Correction = Field(
        default="bias",
        description="What makes up for the rounding of weights, measured on the calibration "
        "images. bias: biases give back what moved on average (Nagel et al. 2019); gptq: each "
        "weight is rounded to make up for those before it as well (Frantar et al. 2023); none: "
        "nothing.",
    )


class QuantizeInt4(QuantizeInt8):
    """Settings of `quantize-int4`."""

    correction: Correction = Field(
        default="gptq", description="As in `quantize-int8`; without it, int4 often collapses."
    )
    block: Literal[32, 64, 128, 256] | None = Field(
        default=None,
        description="Inputs of a dense layer that share a scale; by default all of an output do. "
        "With blocks, activations are quantised at run time, and input and output are in float.",
    )

    @model_validator(mode="after")
    def _io_type_fits(self) -> Self:
        if self.block is not None and self.io_type != "float":
            raise ValueError("`block` needs `io_type: float`: its kernels quantise at run time")
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


class Qat(WithIoType, EpochChoice, Schedule):
    """Settings of `qat`: a short, gentle training, since the model knows its answers already."""

    epochs: int = Field(default=5, ge=1, description="Passes over the training images, at most.")
    learning_rate: float = Field(
        default=1e-4, gt=0, le=1, description="Highest rate of Adam, which falls to 0 by a cosine."
    )
    alpha: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Weight of the labels; the answers of the model before it was quantised have "
        "the rest. 1 learns from the labels alone.",
    )
    temperature: float = Field(
        default=4.0, gt=0, description="Softens the answers of both: 1 leaves them as they are."
    )
