"""Exports models to OpenVINO, and runs them on Intel's and other CPUs."""

from __future__ import annotations

from collections.abc import Iterable

from pupila import Exporter, Runner, hookimpl
from pupila.plugin import ANY_TASK


@hookimpl
def pupila_exporters() -> Iterable[Exporter]:
    """Yield the exporter `export-openvino`."""
    yield Exporter(
        name="export-openvino",
        summary="Graph and weights for OpenVINO, in float or int8 as the ONNX file",
        accepts=frozenset({"onnx"}),
        produces="openvino",
        tasks=ANY_TASK,
        implementation="pupila_openvino.export:export",
    )


@hookimpl
def pupila_runners() -> Iterable[Runner]:
    """Yield the runner that uses OpenVINO on the CPU."""
    yield Runner(
        name="openvino",
        summary="OpenVINO on the CPU, in float32 where the file is not in int8",
        format="openvino",
        implementation="pupila_openvino.runner:open_artifact",
        check="pupila_openvino.check:check",
    )
