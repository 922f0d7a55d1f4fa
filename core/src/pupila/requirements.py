"""Which packages compute: those that a distribution requires, with the versions that are installed.

What a model answers depends on them as much as on a plugin's own code, so they are in every key.
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
"""They lock, find, carry or show: no figure is another with another version of them."""


@cache
def requirements(name: str) -> dict[str, str]:
    """Return the versions of a distribution and of what it requires, by name in order.

    A package requires what it imports, so the requirements of its requirements are left out (those
    of TensorFlow alone are forty, certificates and web servers among them), but for those of
    packages that themselves are made for Pupila. Extras are left out, and what computes nothing.
    What is not installed is `missing`.
    """
    found: dict[str, str] = {}
    ahead: list[str] = [canonicalize_name(name)]
    while ahead:
        each = ahead.pop()
        if each in found:
            continue
        found[each] = _version(each)
        required = set[str](_required(each))
        if each in (CORE, canonicalize_name(name)) or CORE in required:
            ahead += required - _COMPUTE_NOTHING
    return dict(sorted(found.items()))


def versions(*names: str) -> tuple[str, ...]:
    """Return Python, distributions and what they require, each with its version, in order."""
    found = {key: version for name in names for key, version in requirements(name).items()}
    python = ".".join(platform.python_version_tuple()[:2])
    return (f"python {python}", *(f"{key} {version}" for key, version in sorted(found.items())))


def _version(name: str) -> str:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return "missing"


def _required(name: str) -> Iterator[str]:
    try:
        written = distribution(name).requires or []
    except PackageNotFoundError:
        return
    for line in written:
        try:
            required = Requirement(line)
        except InvalidRequirement:  # metadata of older tools may hold any text
            continue
        if required.marker is None or required.marker.evaluate({"extra": ""}):
            yield canonicalize_name(required.name)
