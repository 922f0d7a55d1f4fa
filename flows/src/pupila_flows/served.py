"""Decides which files of a workspace a station serves, and at which addresses."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

PREFIX = "/pupila/"
"""Start of the URL paths of served files; Prefect itself has no pages below it."""
VARIABLE = "PUPILA_SERVED"
"""Environment variable with the workspace of the station whose Prefect server is in use."""
TYPES: Mapping[str, str] = {
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".yaml": "text/plain; charset=utf-8",
}
"""Content type by suffix; no other files are served."""
_FILES = re.compile(r"runs/[^/]+/[^/]+/[^/]+|data-docs/.+|registry/[^/]+/versions/\d+/[^/]+")
"""Reports with their figures, Data Docs, and the cards of versions; no models."""


def served_file(workspace: Path, path: str) -> Path | None:
    """Return the file for a URL path below `PREFIX`; None if it is missing or not served.

    A symbolic link is served only if its target is a served file too.
    """
    try:
        root = workspace.resolve(strict=True)
        file = Path(os.path.realpath(root / path, strict=True))
        is_served = file.is_file() and _is_served(path) and _is_served(_below(root, file) or "")
    except (OSError, ValueError):  # a name that is too long, a loop of links, a null byte
        return None
    return file if is_served else None


def address_of(workspace: Path, file: Path) -> str | None:
    """Return the URL path at which a workspace's station serves a file; None if it is not served.

    Files of some kinds are never served. If the Prefect server in use belongs to another station,
    or is the temporary server of `pupila run`, the result is None for all files.
    """
    root = workspace.resolve()
    if os.environ.get(VARIABLE) != str(root):
        return None
    path = _below(root, file)
    return PREFIX + quote(path) if path and _is_served(path) else None


def _below(root: Path, file: Path) -> str | None:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else None


def _is_served(path: str) -> bool:
    hidden = any(part.startswith(".") for part in path.split("/"))
    return not hidden and path.endswith(tuple(TYPES)) and bool(_FILES.fullmatch(path))
