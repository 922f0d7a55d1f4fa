"""Settings of the exporter `export-onnx`."""

from __future__ import annotations

from pydantic import Field

from pupila import Config


class ExportOnnx(Config):
    """Settings of `export-onnx`."""

    opset: int = Field(
        default=17,
        ge=13,
        le=18,
        description="Version of ONNX's operators that the file uses: a runtime must know it. 17 is "
        "of 2022, and 13, which has a scale for each channel, of 2020.",
    )
