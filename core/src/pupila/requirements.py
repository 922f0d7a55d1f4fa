"""The installed versions of the packages that a distribution requires.

A model's answers depend on these versions as much as on a plugin's own code, so they are part of
every cache key. The version of a package that is installed in editable mode also has a digest of
its source, which may change without a new version.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from pupila.digest import digest_file, digest_json, short_digest

CORE = "pupila-core"

_COMPUTE_NOTHING = frozenset(
    {
        *("filelock", "fsspec", "packaging", "pluggy", "prefect", "psutil", "pydantic", "pytest"),
        *("pyyaml", "rich", "typer"),
    }
)
"""Packages whose versions do not change any result."""
_NOT_SOURCE = frozenset({"tests", "test", "build", "dist", ".venv", "venv", ".git", ".tox"})


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
        required = _required(package)
        if package in (CORE, canonicalize_name(name)) or CORE in required:
            waiting += required - _COMPUTE_NOTHING
    return dict(sorted(installed.items()))


def forget() -> None:
    """Read the metadata of installed packages again: they have changed in this process."""
    for known in (requirements, _version, _required):
        known.cache_clear()


def versions(*names: str) -> tuple[str, ...]:
    """Return the versions of Python, of the distributions `names`, and of what they require.

    Each text has a name and a version, such as `numpy 2.1.0`. Python comes first; the others are
    sorted by name.
    """
    packages = {key: version for name in names for key, version in requirements(name).items()}
    python = ".".join(platform.python_version_tuple()[:2])
    return (f"python {python}", *(f"{key} {version}" for key, version in sorted(packages.items())))


@cache
def _version(name: str) -> str:
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        return "missing"
    project = editable_project(installed)
    if project is None:
        return installed.version
    return f"{installed.version}+editable.{_digest_source(project)}"


def editable_project(installed: Distribution) -> Path | None:
    """Return the project's folder if a distribution is installed in editable mode, else None."""
    origin: dict[str, Any] = json.loads(installed.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(str(origin["url"])).path))


def _digest_source(project: Path) -> str:
    """Return a digest of all Python files in `src`, or else in the project but not in its tests."""
    root = project / "src" if (project / "src").is_dir() else project
    paths = {path.relative_to(root): path for path in root.rglob("*.py")}
    digests = {
        name.as_posix(): digest_file(path)
        for name, path in sorted(paths.items())
        if root.name == "src" or not _NOT_SOURCE.intersection(name.parts)
    }
    return short_digest(digest_json(digests))


@cache
def _required(name: str) -> frozenset[str]:
    try:
        lines = distribution(name).requires or []
    except PackageNotFoundError:
        return frozenset()
    return frozenset(_names(lines))


def _names(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        try:
            required = Requirement(line)
        except InvalidRequirement:  # metadata of older tools may hold any text
            continue
        if required.marker is None or required.marker.evaluate({"extra": ""}):
            yield canonicalize_name(required.name)
