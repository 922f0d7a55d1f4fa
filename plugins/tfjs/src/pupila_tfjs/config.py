"""Settings of the exporter `export-tfjs`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pupila import Config

Weights = Literal["float32", "float16", "uint8"]


class ExportTfjs(Config):
    """Settings of `export-tfjs`."""

    weights: Weights = Field(
        default="float32",
        description=(
            "Type of the weights on disk; the browser always computes in float32. float16 halves "
            "the download. uint8 quarters it, but has one scale for a whole weight, which costs "
            "networks with batch normalisation a lot of accuracy."
        ),
    )
