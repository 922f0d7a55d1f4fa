"""The installed versions of the packages that a distribution requires.

A model's answers depend on these versions as much as on a plugin's own code, so they are part of
every cache key.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

CORE = "pupila-core"

_COMPUTE_NOTHING = frozenset(
    {
        *("filelock", "fsspec", "packaging", "pluggy", "prefect", "psutil", "pydantic", "pytest"),
        *("pyyaml", "rich", "typer"),
    }
)
"""Packages whose versions do not change any result."""


@cache
def requirements(name: str) -> dict[str, str]:
    """Return the versions of a distribution and of the packages it requires, as `{name: version}`.

    Requirements of requirements are left out, because a package itself requires what it imports.
    (TensorFlow alone has forty requirements, with certificates and web servers.) The exceptions are
    core and packages that require core: their requirements are included. Extras and packages that
    compute nothing are left out. The version of a package that is not installed is `missing`. The
    result is sorted by name.
    """
    installed: dict[str, str] = {}
    waiting: list[str] = [canonicalize_name(name)]
    while waiting:
        package = waiting.pop()
        if package in installed:
            continue
        installed[package] = _version(package)
        required = set[str](_required(package))
        if package in (CORE, canonicalize_name(name)) or CORE in required:
            waiting += required - _COMPUTE_NOTHING
    return dict(sorted(installed.items()))


def versions(*names: str) -> tuple[str, ...]:
    """Return the versions of Python, of the distributions `names`, and of what they require.

    Each text has a name and a version, such as `numpy 2.1.0`. Python comes first; the others are
    sorted by name.
    """
    packages = {key: version for name in names for key, version in requirements(name).items()}
    python = ".".join(platform.python_version_tuple()[:2])
    return (f"python {python}", *(f"{key} {version}" for key, version in sorted(packages.items())))


def _version(name: str) -> str:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return "missing"


def _required(name: str) -> Iterator[str]:
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return
    for line in lines:
        try:
            required = Requirement(line)
        except InvalidRequirement:  # metadata of older tools may hold any text
            continue
        if required.marker is None or required.marker.evaluate({"extra": ""}):
            yield canonicalize_name(required.name)
