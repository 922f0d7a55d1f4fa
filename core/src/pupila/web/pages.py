"""Builds a plugin's web pages from TypeScript with Vite, once, into the user's cache."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pupila.digest import digest_json, digest_tree
from pupila.errors import PupilaError
from pupila.web.npm import Packages, cache_folder, draft_folder, node

LITERT_LOG = Path(__file__).parent / "litert_log.ts"
"""TypeScript source with which a page notices a model that LiteRT.js cannot run correctly.

For such a model, LiteRT.js logs an error but still returns outputs.
"""

_SHARED = "shared"
_NOT_SOURCES = ("node_modules", "dist")
_VITE = ("vite", "bin/vite.js", "build", "--logLevel=error")


@dataclass(frozen=True)
class Pages:
    """Web pages that Vite builds from the npm project of `packages`, into `dist`."""

    packages: Packages
    checks: Sequence[Sequence[str]] = (("typescript", "bin/tsc"),)
    """Checks to run before the build. Each is an npm package, a program in it, and arguments."""
    shared: Sequence[Path] = ()
    """Sources from outside the project, to be copied into its folder `shared/`."""

    @property
    def folder(self) -> Path:
        """Folder of the pages built from exactly these sources, whether it exists or not."""
        sources = sorted(
            path for path in self.packages.project.iterdir() if path.name not in _NOT_SOURCES
        )
        digests = {path.name: digest_tree(path) for path in sources}
        digests |= {f"{_SHARED}/{file.name}": digest_tree(file) for file in self.shared}
        return cache_folder() / f"{digest_json(digests)[:16]}-pages"

    @property
    def version(self) -> str:
        """Text that identifies the version of the pages and their packages, for a job's key."""
        return f"pages {self.folder.name}"

    def find(self) -> Path:
        """Return the folder with the built pages.

        Raises:
            PupilaError: the pages are not built; this method downloads and builds nothing.
        """
        if not self.folder.is_dir():
            raise PupilaError(
                f"The pages of {self.packages.title} are not in {str(self.folder)!r}: run "
                f"`{self.packages.command}` once to download their packages and build them."
            )
        return self.folder

    def build(self) -> Path:
        """Build the pages, unless they are built already, and return their folder.

        The npm packages are installed first, unless they are installed already.

        Raises:
            PupilaError: npm, a check or Vite failed; the message gives the reason.
        """
        packages = self.packages.install()
        with draft_folder(self.folder) as draft:
            if draft:
                self._build(draft, packages)
        return self.folder

    def _build(self, draft: Path, packages: Path) -> None:
        """Build the pages in a copy of the project, so that nothing is written into the sources."""
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
            log = (finished.stdout + finished.stderr).strip()
            raise PupilaError(
                f"`node {' '.join(arguments)}` failed on the pages of {self.packages.title}: {log}"
            )
