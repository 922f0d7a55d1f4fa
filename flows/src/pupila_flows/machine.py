"""Describes the machine and the versions that a run used."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import psutil

from pupila.plugin_registry import installed
from pupila.requirements import requirements


def describe() -> str:
    """Return processor, cores, memory and operating system as one line."""
    from pupila.evaluator import cpu_name

    memory = psutil.virtual_memory().total / 2**30
    return f"{cpu_name()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.platform()}"


def versions() -> dict[str, str]:
    """Return the version of each package that can change results, by name.

    The packages are Python, Prefect, pupila-flows, the distributions of all plugins, and their
    requirements (see `pupila.requirements`).
    """
    distributions = {entry.distribution for entry in installed().plugins}
    packages = {"python": platform.python_version(), "prefect": version("prefect")}
    for name in ("pupila-flows", *distributions):
        packages |= requirements(name)
    return dict(sorted(packages.items()))
