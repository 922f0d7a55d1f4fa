"""What a run ran on, for the record beside its figures."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import psutil

from pupila.registry import installed

_RUNTIMES = (
    *("tensorflow", "keras", "tf-keras", "ai-edge-litert", "ai-edge-quantizer"),
    *("tensorflowjs", "prefect", "great-expectations", "numpy", "pandas", "pillow"),
)


def describe() -> str:
    """Return processor, cores, memory and system in one line."""
    from pupila.judge import cpu_name

    memory = psutil.virtual_memory().total / 2**30
    return f"{cpu_name()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.platform()}"


def versions() -> dict[str, str]:
    """Return the versions of all that can change a figure, Python and the plugins included."""
    found = {"python": platform.python_version()}
    found |= {entry.distribution: entry.version for entry in installed().plugins}
    for name in ("pupila-core", "pupila-flows", *_RUNTIMES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return dict(sorted(found.items()))
