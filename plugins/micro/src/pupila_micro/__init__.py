"""Exports models as C sources for TFLite Micro, and runs models in TFLite Micro's interpreter."""

from __future__ import annotations

from collections.abc import Iterable

from pupila import Exporter, MeasuredSection, Runner, hookimpl
from pupila.plugin import ANY_TASK


@hookimpl
def pupila_exporters() -> Iterable[Exporter]:
    """Yield the exporter `export-tflite-micro`."""
    yield Exporter(
        name="export-tflite-micro",
        summary="C sources of an int8 flatbuffer for microcontrollers, with the arena it needs",
        accepts=frozenset({"tflite"}),
        produces="tflite-micro",
        tasks=ANY_TASK,
        implementation="pupila_micro.export:export",
    )


@hookimpl
def pupila_runners() -> Iterable[Runner]:
    """Yield the runner that uses TFLite Micro's interpreter."""
    yield Runner(
        name="tflite-micro",
        summary="TFLite Micro's interpreter on the host, with its reference kernels",
        format="tflite-micro",
        threaded=False,
        implementation="pupila_micro.runner:open_artifact",
        check="pupila_micro.check:check",
    )


@hookimpl
def pupila_sections() -> Iterable[MeasuredSection]:
    """Yield the section with the memory that each exported model needs."""
    yield MeasuredSection(
        name="microcontroller-memory",
        summary="Flash and arena of each model for microcontrollers",
        title="Memory on a microcontroller",
        implementation="pupila.measured:MicrocontrollerMemory",
    )
