"""Exports models to TFLite, and runs them with LiteRT."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pupila import Exporter, Loader, Runner, hookimpl
from pupila.plugin import ANY_TASK

_IDENTIFIER = b"TFL3"
_IDENTIFIER_START = 4
"""Position of the file identifier, which follows the four bytes of the root table's offset."""


@hookimpl
def pupila_exporters() -> Iterable[Exporter]:
    """Yield the exporter `export-tflite`."""
    yield Exporter(
        name="export-tflite",
        summary="Float32 TFLite flatbuffer for LiteRT, one image at a time",
        accepts=frozenset({"keras", "savedmodel"}),
        produces="tflite",
        tasks=ANY_TASK,
        implementation="pupila_tflite.export:export",
    )


@hookimpl
def pupila_loaders() -> Iterable[Loader]:
    """Yield the loader of TFLite flatbuffers."""
    yield Loader(
        name="tflite",
        summary="TFLite flatbuffers (.tflite), float or quantised",
        produces="tflite",
        recognises=is_flatbuffer,
        implementation="pupila_tflite.loader:load",
        builds_in_scaling=True,
    )


@hookimpl
def pupila_runners() -> Iterable[Runner]:
    """Yield the runner that uses LiteRT."""
    yield Runner(
        name="litert",
        summary="LiteRT on the CPU, with XNNPACK where it has the operators",
        format="tflite",
        implementation="pupila_tflite.runner:open_artifact",
        check="pupila_tflite.runner:check",
    )


def is_flatbuffer(source: Path) -> bool:
    """Return whether a file has the identifier of a TFLite flatbuffer."""
    if not source.is_file():
        return False
    with source.open("rb") as stream:
        stream.seek(_IDENTIFIER_START)
        return stream.read(len(_IDENTIFIER)) == _IDENTIFIER
