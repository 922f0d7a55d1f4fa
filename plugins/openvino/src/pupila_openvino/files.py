"""Imports OpenVINO without its telemetry, and names the files of an OpenVINO model.

If the package `openvino_telemetry` is there, which OpenVINO requires, `import openvino` writes an
identity into the user's home folder and reports each import and each conversion to Intel, unless
the user opts out. If it is not there, OpenVINO uses a stub of its own that does nothing. So it is
hidden here before OpenVINO is imported; a test watches what an export and a run do.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

_TELEMETRY = "openvino_telemetry"


def _import_openvino() -> Any:
    """Import OpenVINO, which lacks some annotations, as if its telemetry were not installed."""
    sys.modules.setdefault(_TELEMETRY, None)  # pyright: ignore[reportArgumentType]  - as documented
    return import_module("openvino")


openvino: Any = _import_openvino()

GRAPH_NAME, WEIGHTS_NAME = "model.xml", "model.bin"
"""Names of an artifact's two files."""
