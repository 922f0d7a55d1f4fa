"""Exports models to TensorFlow.js, and runs them under Node."""

from __future__ import annotations

from collections.abc import Iterable

from pupila import Exporter, Runner, hookimpl
from pupila.plugin import ANY_TASK
from pupila_tfjs.config import ExportTfjs


@hookimpl
def pupila_exporters() -> Iterable[Exporter]:
    """Yield the exporter `export-tfjs`."""
    yield Exporter(
        name="export-tfjs",
        summary="TensorFlow.js graph model, for browsers and Node",
        config=ExportTfjs,
        accepts=frozenset({"keras"}),
        produces="tfjs",
        tasks=ANY_TASK,
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
        environment=_packages,
        implementation="pupila_tfjs.runner:open_model",
        check="pupila_tfjs.check:check",
    )


def _packages() -> str:
    from pupila_tfjs.nodejs import PACKAGES

    return PACKAGES.version
