"""Exports models to ONNX, and runs them with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable

from pupila import Exporter, Loader, Runner, hookimpl
from pupila.plugin import ANY_TASK
from pupila_onnx.config import ExportOnnx
from pupila_onnx.recognise import is_onnx


@hookimpl
def pupila_exporters() -> Iterable[Exporter]:
    """Yield the exporter `export-onnx`."""
    yield Exporter(
        name="export-onnx",
        summary="One ONNX file of standard operators; of an int8 TFLite file, one in int8 (QDQ)",
        config=ExportOnnx,
        accepts=frozenset({"keras", "tflite"}),
        produces="onnx",
        tasks=ANY_TASK,
        implementation="pupila_onnx.export:export",
    )


@hookimpl
def pupila_loaders() -> Iterable[Loader]:
    """Yield the loader of ONNX files."""
    yield Loader(
        name="onnx",
        summary="ONNX (.onnx), channels last or first, one file with its weights",
        produces="onnx",
        recognises=is_onnx,
        implementation="pupila_onnx.loader:load",
        builds_in_scaling=True,
    )


@hookimpl
def pupila_runners() -> Iterable[Runner]:
    """Yield the runner that uses ONNX Runtime."""
    yield Runner(
        name="onnxruntime",
        summary="ONNX Runtime on the CPU",
        format="onnx",
        implementation="pupila_onnx.runner:open_artifact",
        check="pupila_onnx.check:check",
    )
