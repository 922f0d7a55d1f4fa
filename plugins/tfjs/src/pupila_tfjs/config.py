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
            "Type of the weights on disk; the browser computes in float32 whatever it is. "
            "float16 halves the download; uint8 quarters it, but has one scale for a whole "
            "weight, which networks with batch normalisation bear badly."
        ),
    )
