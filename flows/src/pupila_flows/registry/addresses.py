"""Where a registry is: a folder, or the URL of any file system that fsspec knows."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

from pupila.errors import PupilaError, nearest
from pupila.paths import folder_problem

VARIABLE = "PUPILA_REGISTRY"
"""Environment variable with the address that is taken where none is given."""
_EXTRAS = {"s3fs": "s3", "gcsfs": "gcs"}
"""Extra of pupila-flows by the package that it brings."""
_HIDDEN = "***"
_READ_ONLY = (
    "data",
    "git",
    "github",
    "gist",
    "hf",
    "http",
    "https",
    "jlab",
    "jupyter",
    "libarchive",
)
_CACHES = ("blockcache", "cached", "filecache", "simplecache")
_WRAPPERS = ("async_wrapper", "asyncwrapper", "dask", "dir", "generic", "reference")
_LOCAL = ("file", "local")
_IMPORTS = {"arrow_hdfs": "pyarrow", "hdfs": "pyarrow", "sftp": "paramiko", "ssh": "paramiko"}
"""Package that a file system of fsspec itself imports only when it connects, by protocol."""
_UNFIT = {
    "memory": "which keeps nothing once the command has ended",
    **dict.fromkeys(_READ_ONLY, "from which files can only be read"),
    **dict.fromkeys(("tar", "zip"), "an archive, to which two publishers cannot write"),
    **dict.fromkeys((*_CACHES, *_WRAPPERS), "which only wraps another file system"),
}
"""Protocols that fsspec knows and no registry can have, and why."""
_SECRET_FIELD = re.compile(r"(?i)([?&][^=&]*(?:pass|pwd|secret|token|key|sig)[^=&]*=)([^&#]+)")


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
    """Return a URL as it is; a path is relative to `folder`.

    Raises:
        PupilaError: it is neither, or begins with the home of a user who is not there.
    """
    if is_url(address):
        return address
    protocol = address.partition(":")[0]
    if ":" in address and protocol.lower() in _protocols():
        raise PupilaError(
            f"The registry {address!r} is neither a folder nor a URL: write {protocol.lower()}:// "
            f"for a URL, or ./ before the name of a folder."
        )
    try:
        return str(folder / Path(address).expanduser())
    except RuntimeError:
        raise PupilaError(
            f"The registry {address!r} is in the home of a user who is not on this machine: give "
            f"a folder, or a URL."
        ) from None


def is_url(address: str) -> bool:
    """Tell whether an address names its file system, as `s3://bucket/models` does."""
    return "://" in address or "::" in address


def check_address(address: str) -> None:
    """Refuse what no installed package can open, or what is no folder; nothing is connected to.

    A path is one that `resolved` gave.

    Raises:
        PupilaError: fsspec does not know the file system, a package is missing, or nothing can be
            kept there.
    """
    told = repr(without_password(address))
    if "\0" in address:
        raise PupilaError(f"The registry {told} has a null byte: give a folder, or a URL.")
    if not is_url(address):
        _check_folder(Path(address), told)
        return
    if "::" in address:
        raise PupilaError(
            f"The registry {told} names several file systems, one through another: give a folder, "
            f"or one URL like s3://bucket/models."
        )
    protocol, _, place = address.partition("://")
    _check_protocol(protocol, told)
    if protocol in _LOCAL:
        if not place.startswith("/"):
            raise PupilaError(
                f"The registry {told} names no folder from / on: write {protocol}:///folder, or "
                f"the folder alone."
            )
        _check_folder(Path(place), told)
    elif not place.strip("/"):
        raise PupilaError(
            f"The registry {told} names no place there: give a URL like s3://bucket/models."
        )


def _check_folder(folder: Path, told: str) -> None:
    """Refuse what is no folder and cannot become one, or where the kernel keeps nothing."""
    if reason := folder_problem(folder):
        raise PupilaError(
            f"The registry {told} {reason}: give a folder that is there or can be made."
        )


def _check_protocol(protocol: str, told: str) -> None:
    """Refuse a file system that is not known, not fit, or whose package is missing."""
    from fsspec.registry import known_implementations  # pyright: ignore - fsspec has no types

    known = _protocols()
    if protocol not in known:
        raise PupilaError(
            f"The registry {told} has the protocol {protocol!r}, which fsspec does not know: "
            f"give a folder, or a URL like s3://bucket/models.{nearest(protocol, known)}"
        )
    if protocol in _UNFIT:
        raise PupilaError(
            f"The registry {told} has the protocol {protocol!r}, {_UNFIT[protocol]}: give a "
            f"folder, or a URL like s3://bucket/models."
        )
    implementations: dict[str, dict[str, str]] = known_implementations
    brought = implementations.get(protocol, {}).get("class", "fsspec").partition(".")[0]
    needed = _IMPORTS.get(protocol, brought)
    if find_spec(needed) is None:
        package = f"'pupila-flows[{_EXTRAS[needed]}]'" if needed in _EXTRAS else needed
        raise PupilaError(
            f"The registry {told} needs the package {needed}: `pip install {package}`."
        )


def _protocols() -> set[str]:
    """Return the file systems that fsspec knows."""
    from fsspec.registry import (  # pyright: ignore - fsspec has no types
        available_protocols,
        registry,
    )

    return {*available_protocols(), *registry}


def without_password(address: str) -> str:
    """Return an address as it may be shown: passwords, tokens and keys in it are `***`."""
    start, end = _password(address)
    hidden = address[:start] + _HIDDEN + address[end:] if end > start else address
    return _SECRET_FIELD.sub(rf"\1{_HIDDEN}", hidden)


def without_passwords_of(address: str, text: str) -> str:
    """Return a text of others, an error say, without the passwords of an address."""
    start, end = _password(address)
    secrets = {address[start:end], *(match[2] for match in _SECRET_FIELD.finditer(address))} - {""}
    shown = text.replace(address, without_password(address))
    for secret in sorted({*secrets, *map(unquote, secrets)}, key=len, reverse=True):
        shown = shown.replace(secret, _HIDDEN)
    return shown


def _password(address: str) -> tuple[int, int]:
    """Return where in a URL its password begins and ends; alike where it has none.

    All up to the last `@` counts: a `/` or `@` that should have been escaped hides nothing.
    """
    begin = address.find("://") + 3
    if "://" not in address:
        return 0, 0
    colon, at = address.find(":", begin), address.rfind("@")
    slash = address.find("/", begin)
    if colon < 0 or at < colon or 0 <= slash < colon:
        return 0, 0
    return colon + 1, at
