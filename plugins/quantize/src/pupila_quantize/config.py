"""Settings of the quantisation techniques."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from pupila import Config
from pupila.training.schedule import EpochChoice, Schedule, SoftTargets

IoType = Literal["float", "int8"]
Correction = Literal["none", "bias", "gptq"]


class WithIoType(Config):
    """Common settings of the int8 techniques: the type of input and output."""

    former_names: ClassVar[Mapping[str, str]] = {"borders": "io_type"}

    io_type: IoType = Field(
        default="float",
        description=(
            "Type of the input and output. float: unchanged, as browsers need it (LiteRT.js does "
            "not take int8), and a final softmax or sigmoid is computed in float; int8: for "
            "microcontrollers and accelerators without floats; a model that ended in a softmax "
            "then ends in its logits."
        ),
    )


class Calibrated(Config):
    """Common settings of the calibrated techniques, and the only settings of `quantize-int16x8`."""

    calibration_images: int = Field(
        default=100,
        ge=1,
        description="Training images that set the ranges of activations, evenly from the classes.",
    )


class QuantizeInt8(WithIoType, Calibrated):
    """Settings of `quantize-int8`."""

    former_values: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "correction": {"biases": "bias", "rounding": "gptq"}
    }

    correction: Correction = Field(
        default="bias",
        description="How errors of rounded weights are corrected, by the calibration images. bias: "
        "biases correct the mean of each output (Nagel et al. 2019); gptq: each weight is also "
        "rounded to compensate for those before it (Frantar et al. 2023); none: not at all.",
    )


class QuantizeInt4(QuantizeInt8):
    """Settings of `quantize-int4`."""

    correction: Correction = Field(
        default="gptq", description="As in `quantize-int8`; without it, int4 often collapses."
    )
    block: Literal[32, 64, 128, 256] | None = Field(
        default=None,
        description="Number of inputs of a dense layer that share a scale; by default all inputs "
        "of an output. With blocks, activations are quantised at run time, and input and output "
        "are in float.",
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
        description="Largest loss of accuracy on the validation images, as a fraction: layers stay "
        "in float, the most sensitive first, until no more is lost.",
    )


class Qat(WithIoType, SoftTargets, EpochChoice, Schedule):
    """Settings of `qat`: a short training at a low rate, since the model is already trained."""

    epochs: int = Field(default=5, ge=1, description="Passes over the training images, at most.")
    learning_rate: float = Field(
        default=1e-4, gt=0, le=1, description="Highest rate of Adam, which falls to 0 by a cosine."
    )
