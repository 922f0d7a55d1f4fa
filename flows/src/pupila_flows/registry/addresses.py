"""Where a registry is: a folder, or the URL of any file system that fsspec knows."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from pupila.errors import PupilaError, nearest

VARIABLE = "PUPILA_REGISTRY"
"""Environment variable with the address that is taken where none is given."""
_EXTRAS = {"s3fs": "s3", "gcsfs": "gcs"}
"""Extra of pupila-flows by the package that it brings."""


def default_address(workspace: Path) -> str:
    """Return `$PUPILA_REGISTRY`, or the folder `registry` of the workspace."""
    return named_here() or str(workspace / "registry")


def named_here() -> str | None:
    """Return what `$PUPILA_REGISTRY` names, a path as seen from the current folder; None if unset.

    A process that starts others elsewhere must hand them this: each flow of a station runs in a
    temporary folder.
    """
    given = os.environ.get(VARIABLE)
    return resolved(given, Path.cwd()) if given else None


def resolved(address: str, folder: Path) -> str:
    """Return a URL as it is; a path is relative to `folder`."""
    return address if is_url(address) else str(folder / Path(address).expanduser())


def is_url(address: str) -> bool:
    """Tell whether an address names its file system, as `s3://bucket/models` does."""
    return "://" in address or "::" in address


def check_address(address: str) -> None:
    """Refuse what no installed package can open; nothing is connected to.

    Raises:
        PupilaError: fsspec does not know the file system, or a package is missing.
    """
    if not is_url(address):
        return
    from fsspec.registry import (  # pyright: ignore - fsspec has no types
        available_protocols,
        known_implementations,
        registry,
    )

    known: set[str] = {*available_protocols(), *registry}
    protocol = address.partition("://")[0].partition("::")[0]
    if protocol not in known:
        raise PupilaError(
            f"The registry {address!r} has the protocol {protocol!r}, which fsspec does not know: "
            f"give a folder, or a URL like s3://bucket/models.{nearest(protocol, known)}"
        )
    implementations: dict[str, dict[str, str]] = known_implementations
    needed = implementations.get(protocol, {}).get("class", "fsspec").partition(".")[0]
    if find_spec(needed) is None:
        package = f"'pupila-flows[{_EXTRAS[needed]}]'" if needed in _EXTRAS else needed
        raise PupilaError(
            f"The registry {address!r} needs the package {needed}: `pip install {package}`."
        )
