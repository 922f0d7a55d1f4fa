"""Packages of someone else: a wheel of an example, and a Python that finds what was installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def build_wheel(example: Path, folder: Path) -> Path:
    """Build the wheel of an example in a copy, as its author would."""
    source = shutil.copytree(
        example,
        folder / "source",
        ignore=shutil.ignore_patterns("__pycache__", ".*_cache", ".pupila"),
    )
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def install(wheel: Path, folder: Path) -> None:
    """Unpack a wheel into a folder, from which `fresh_python` imports it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)


def fresh_python(
    path: Path, *arguments: str, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a Python that also imports what is installed in `path`."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
    )


def answer(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the JSON in the last line that a program printed."""
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])
