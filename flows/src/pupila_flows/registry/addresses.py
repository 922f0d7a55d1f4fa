"""Addresses of registries: a folder, or the URL of a file system that fsspec knows."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

from pupila.errors import PupilaError, nearest
from pupila.paths import folder_problem

VARIABLE = "PUPILA_REGISTRY"
"""Environment variable that holds the default address of the registry."""
_EXTRAS = {"s3fs": "s3", "gcsfs": "gcs"}
"""For each optional package, the extra of pupila-flows that installs it."""
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
"""For each protocol, the package that fsspec imports only on connecting."""
_UNFIT = {
    "memory": "which keeps nothing after the command ends",
    **dict.fromkeys(_READ_ONLY, "which is read-only"),
    **dict.fromkeys(("tar", "zip"), "an archive, which two publishers cannot both write"),
    **dict.fromkeys((*_CACHES, *_WRAPPERS), "which only wraps another file system"),
}
"""For each protocol that fsspec knows but a registry cannot use, the reason."""
_SECRET_FIELD = re.compile(r"(?i)([?&][^=&]*(?:pass|pwd|secret|token|key|sig)[^=&]*=)([^&#]+)")


def default_address(workspace: Path) -> str:
    """Return `$PUPILA_REGISTRY`, or the folder `registry` of the workspace."""
    return address_from_environment() or str(workspace / "registry")


def address_from_environment() -> str | None:
    """Return the registry's address in `$PUPILA_REGISTRY`; None if this variable is not set.

    A path is made absolute, so that the address stays valid for a process started in another
    folder: each flow of a station runs in a temporary folder.
    """
    given = os.environ.get(VARIABLE)
    return resolve_address(given, Path.cwd()) if given else None


def resolve_address(address: str, folder: Path) -> str:
    """Return a registry's address in absolute form.

    A URL stays unchanged. A relative path is taken from `folder`, and `~` is expanded.

    Raises:
        PupilaError: the address is neither a URL nor a path, or starts with the home of an unknown
            user.
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
    """Return whether an address is a URL, such as `s3://bucket/models`."""
    return "://" in address or "::" in address


def check_address(address: str) -> None:
    """Refuse an address that no installed package can open, or that cannot be a folder.

    The check makes no connection. A path must be absolute, as `resolve_address` returns it.

    Raises:
        PupilaError: fsspec does not know the file system, a package is missing, or files cannot
            be stored at the address.
    """
    quoted = repr(without_password(address))
    if "\0" in address:
        raise PupilaError(f"The registry {quoted} has a null byte: give a folder, or a URL.")
    if not is_url(address):
        _check_folder(Path(address), quoted)
        return
    if "::" in address:
        raise PupilaError(
            f"The registry {quoted} names several file systems, one through another: give a "
            f"folder, or one URL like s3://bucket/models."
        )
    protocol, _, path = address.partition("://")
    _check_protocol(protocol, quoted)
    if protocol in _LOCAL:
        if not path.startswith("/"):
            raise PupilaError(
                f"The registry {quoted} is not an absolute path: write {protocol}:///folder, or "
                f"the folder alone."
            )
        _check_folder(Path(path), quoted)
    elif not path.strip("/"):
        raise PupilaError(
            f"The registry {quoted} has no bucket or host: give a URL like s3://bucket/models."
        )


def _check_folder(folder: Path, quoted: str) -> None:
    """Refuse a path where no folder can be created, or where the kernel stores nothing."""
    if reason := folder_problem(folder):
        raise PupilaError(
            f"The registry {quoted} {reason}: give a folder that exists or can be created."
        )


def _check_protocol(protocol: str, quoted: str) -> None:
    """Refuse a file system that is unknown or unsuitable, or whose package is missing."""
    from fsspec.registry import known_implementations  # pyright: ignore - fsspec has no types

    known = _protocols()
    if protocol not in known:
        raise PupilaError(
            f"The registry {quoted} has the protocol {protocol!r}, which fsspec does not know: "
            f"give a folder, or a URL like s3://bucket/models.{nearest(protocol, known)}"
        )
    if protocol in _UNFIT:
        raise PupilaError(
            f"The registry {quoted} has the protocol {protocol!r}, {_UNFIT[protocol]}: give a "
            f"folder, or a URL like s3://bucket/models."
        )
    implementations: dict[str, dict[str, str]] = known_implementations
    brought = implementations.get(protocol, {}).get("class", "fsspec").partition(".")[0]
    needed = _IMPORTS.get(protocol, brought)
    if find_spec(needed) is None:
        package = f"'pupila-flows[{_EXTRAS[needed]}]'" if needed in _EXTRAS else needed
        raise PupilaError(
            f"The registry {quoted} needs the package {needed}: `pip install {package}`."
        )


def _protocols() -> set[str]:
    """Return the protocols of all file systems that fsspec knows."""
    from fsspec.registry import (  # pyright: ignore - fsspec has no types
        available_protocols,
        registry,
    )

    return {*available_protocols(), *registry}


def without_password(address: str) -> str:
    """Return an address with its passwords, tokens and keys replaced by `***`."""
    start, end = _password(address)
    hidden = address[:start] + _HIDDEN + address[end:] if end > start else address
    return _SECRET_FIELD.sub(rf"\1{_HIDDEN}", hidden)


def hide_passwords_in(address: str, text: str) -> str:
    """Replace the passwords of an address by `***` in a text, such as another library's error."""
    start, end = _password(address)
    secrets = {address[start:end], *(match[2] for match in _SECRET_FIELD.finditer(address))} - {""}
    quoted = text.replace(address, without_password(address))
    for secret in sorted({*secrets, *map(unquote, secrets)}, key=len, reverse=True):
        quoted = quoted.replace(secret, _HIDDEN)
    return quoted


def _password(address: str) -> tuple[int, int]:
    """Return the start and end of the password in a URL; both are equal if it has none.

    The password extends to the last `@`: an unescaped `/` or `@` in it does not expose a part.
    """
    begin = address.find("://") + 3
    if "://" not in address:
        return 0, 0
    colon, at = address.find(":", begin), address.rfind("@")
    slash = address.find("/", begin)
    if colon < 0 or at < colon or 0 <= slash < colon:
        return 0, 0
    return colon + 1, at
