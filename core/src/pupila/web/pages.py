"""Web pages of a plugin: built once from its TypeScript by Vite, into the user's cache."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pupila.digest import digest_json, digest_tree
from pupila.errors import PupilaError
from pupila.web.npm import Packages, appearing, cache_folder, node

LITERT_LOG = Path(__file__).parent / "litert_log.ts"
"""Tells a page of the models that LiteRT.js cannot run, and answers for all the same."""

_SHARED = "shared"
_NOT_SOURCES = ("node_modules", "dist")
_VITE = ("vite", "bin/vite.js", "build", "--logLevel=error")


@dataclass(frozen=True)
class Pages:
    """The pages that the npm project of `packages` is the source of; Vite writes into `dist`."""

    packages: Packages
    checks: Sequence[Sequence[str]] = (("typescript", "bin/tsc"),)
    """What must pass before: a package, a program of it, and its arguments."""
    shared: Sequence[Path] = ()
    """Sources that lie elsewhere; they are built as `shared/` of the project."""

    @property
    def folder(self) -> Path:
        """The folder of these very sources, there or not: all that they are made from names it."""
        sources = sorted(
            part for part in self.packages.project.iterdir() if part.name not in _NOT_SOURCES
        )
        digests = {part.name: digest_tree(part) for part in sources}
        digests |= {f"{_SHARED}/{file.name}": digest_tree(file) for file in self.shared}
        return cache_folder() / f"{digest_json(digests)[:16]}-pages"

    @property
    def version(self) -> str:
        """What stands for the pages, and all that runs in them, in a key."""
        return f"pages {self.folder.name}"

    def built(self) -> Path:
        """Return the folder with the pages, ready to be served.

        Raises:
            PupilaError: they were not built; nothing is downloaded or built unasked.
        """
        if not self.folder.is_dir():
            raise PupilaError(
                f"The pages of {self.packages.title} are not in {str(self.folder)!r}: run "
                f"`{self.packages.command}` once to download their packages and build them."
            )
        return self.folder

    def build(self) -> Path:
        """Install the packages and build the pages, unless they are there; return their folder.

        Raises:
            PupilaError: npm, a check or Vite failed, with its reason.
        """
        packages = self.packages.install()
        with appearing(self.folder) as draft:
            if draft:
                self._build(draft, packages)
        return self.folder

    def _build(self, draft: Path, packages: Path) -> None:
        """Build in a copy, so that nothing is ever written beside the sources."""
        copy = draft.parent / "sources"
        ignored = shutil.ignore_patterns(*_NOT_SOURCES)
        shutil.copytree(self.packages.project, copy, ignore=ignored)
        for file in self.shared:
            (copy / _SHARED).mkdir(exist_ok=True)
            shutil.copy(file, copy / _SHARED)
        (copy / "node_modules").symlink_to(packages / "node_modules", target_is_directory=True)
        for package, program, *arguments in (*self.checks, _VITE):
            self._run(copy, [f"node_modules/{package}/{program}", *arguments])
        shutil.copytree(copy / "dist", draft, dirs_exist_ok=True)

    def _run(self, folder: Path, arguments: list[str]) -> None:
        finished = subprocess.run(
            [node(), *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        if finished.returncode != 0:
            said = (finished.stdout + finished.stderr).strip()
            raise PupilaError(
                f"`node {' '.join(arguments)}` failed on the pages of {self.packages.title}: {said}"
            )
