from __future__ import annotations

from pathlib import Path

import pytest

from pupila import PupilaError
from pupila_tfjs import nodejs
from pupila_tfjs.install import install
from pupila_tfjs.runner import TfjsModel


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PUPILA_NODE_MODULES", str(tmp_path / "packages"))
    return tmp_path / "packages"


def test_missing_packages_are_told_with_the_command_that_installs_them(
    empty_cache: Path, mean_colour_model: Path
):
    with pytest.raises(PupilaError, match=r"run `python -m pupila_tfjs\.install`"):
        TfjsModel(mean_colour_model)
    assert not empty_cache.exists()


@pytest.mark.slow
def test_installing_fetches_the_locked_packages_once(empty_cache: Path):
    folder = install()
    assert folder.parent == empty_cache
    package = folder / "node_modules" / "@tensorflow" / "tfjs-core" / "package.json"
    assert '"version": "4.22.0"' in package.read_text()
    assert list(empty_cache.iterdir()) == [folder]
    changed = folder.stat().st_mtime_ns
    assert install() == folder
    assert folder.stat().st_mtime_ns == changed


def test_a_failed_download_leaves_nothing_behind(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("npm_config_offline", "true")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "empty_npm_cache"))
    with pytest.raises(PupilaError, match=r"`npm ci .*` failed \(exit code 1\): .*ENOTCACHED"):
        install()
    assert list(empty_cache.iterdir()) == []


def test_the_lock_file_names_no_registry():
    lock = (nodejs.SCRIPTS / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert "://" not in lock
