"""Exports to TensorFlow.js and runs it under Node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from pupila import Config, Exporter, Runner, hookimpl

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


@hookimpl
def pupila_exporters() -> Iterable[Exporter]:
    """Yield `export-tfjs`."""
    yield Exporter(
        name="export-tfjs",
        summary="TensorFlow.js graph model, for browsers and Node",
        config=ExportTfjs,
        accepts=frozenset({"keras"}),
        produces="tfjs",
        implementation="pupila_tfjs.export:export",
    )


@hookimpl
def pupila_runners() -> Iterable[Runner]:
    """Yield the TF.js runtime under Node."""
    yield Runner(
        name="tfjs-node",
        summary="TensorFlow.js under Node, on its WebAssembly backend",
        format="tfjs",
        threaded=False,
        implementation="pupila_tfjs.runner:open_model",
    )
