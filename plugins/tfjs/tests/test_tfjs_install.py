from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pupila import PupilaError
from pupila_tfjs.nodejs import PACKAGES
from pupila_tfjs.runner import TfjsModel


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PUPILA_NODE_MODULES", str(tmp_path / "packages"))
    return tmp_path / "packages"


def test_missing_packages_are_reported_with_the_command_that_installs_them(
    empty_cache: Path, mean_colour_model: Path
):
    with pytest.raises(PupilaError, match=r"run `python -m pupila_tfjs\.install`"):
        TfjsModel(mean_colour_model)
    assert not empty_cache.exists()


@pytest.mark.slow
def test_the_command_fetches_the_locked_packages(empty_cache: Path):
    command = [sys.executable, "-m", "pupila_tfjs.install"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == f"{PACKAGES.folder}\n"
    assert PACKAGES.folder.parent == empty_cache
    package = PACKAGES.find() / "node_modules" / "@tensorflow" / "tfjs-core" / "package.json"
    assert '"version": "4.22.0"' in package.read_text()


def test_the_lock_file_names_no_registry():
    lock = (PACKAGES.project / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert "://" not in lock
