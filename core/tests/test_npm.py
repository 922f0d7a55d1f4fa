from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pupila import PupilaError
from pupila.npm import Packages, appearing, cache_folder, main, node


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PUPILA_NODE_MODULES", str(tmp_path / "cache"))
    return tmp_path / "cache"


def project(folder: Path, dependencies: dict[str, str]) -> Packages:
    """Write an npm project whose lock file has these local packages; nothing is downloaded."""
    folder.mkdir()
    named = {"name": "project", "version": "1.0.0", "dependencies": dependencies}
    (folder / "package.json").write_text(json.dumps(named))
    lock = {**named, "lockfileVersion": 3, "requires": True, "packages": {"": named}}
    for name, place in dependencies.items():
        target = place.removeprefix("file:")
        lock["packages"][f"node_modules/{name}"] = {"resolved": target, "link": True}
        lock["packages"][target] = {"version": "1.0.0"}
    (folder / "package-lock.json").write_text(json.dumps(lock))
    (folder / ".npmrc").write_text("offline=true\n")
    return Packages(folder, title="A test", command="python -m test.install")


def test_packages_appear_once_for_each_lock_file(cache: Path, tmp_path: Path):
    packages = project(tmp_path / "project", {})
    (tmp_path / "project" / "package.json").touch()
    folder = packages.install()
    assert folder.parent == cache
    changed = folder.stat().st_mtime_ns
    assert packages.install() == folder
    assert folder.stat().st_mtime_ns == changed
    (tmp_path / "project" / "package-lock.json").write_text("{}")
    assert packages.folder != folder
