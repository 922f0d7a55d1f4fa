from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pupila import PupilaError
from pupila.web.pages import Pages
from pupila_web import pages


def pages_of(project: Path) -> Pages:
    return replace(pages.PAGES, packages=replace(pages.PAGES.packages, project=project))


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PUPILA_NODE_MODULES", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_missing_pages_are_reported_with_the_command_that_builds_them(empty_cache: Path):
    with pytest.raises(PupilaError, match=r"run `python -m pupila_web\.install`"):
        pages.PAGES.find()
    assert not empty_cache.exists()


@pytest.mark.slow
def test_the_command_builds_the_pages_and_nothing_beside_them(empty_cache: Path):
    before = sorted(pages.SOURCES.rglob("*"))
    command = [sys.executable, "-m", "pupila_web.install"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == f"{pages.PAGES.find()}\n"
    assert pages.PAGES.find().parent == empty_cache
    built = pages.PAGES.find()
    names = {file.relative_to(built).as_posix() for file in built.rglob("*.*")}
    assert {"probe/index.html", "litert/litert_wasm_internal.wasm"} <= names
    assert sorted(pages.SOURCES.rglob("*")) == before


@pytest.mark.slow
def test_a_page_that_does_not_compile_is_reported(empty_cache: Path, tmp_path: Path):
    broken = tmp_path / "broken"
    shutil.copytree(pages.SOURCES, broken)
    with (broken / "probe" / "main.ts").open("a") as main:
        main.write("const count: number = 'three';\n")
    with pytest.raises(PupilaError, match=r"tsc` failed on .*: .*main\.ts.*not assignable"):
        pages_of(broken).build()
    assert not [folder for folder in empty_cache.iterdir() if folder.name.endswith("-pages")]


def test_other_sources_have_another_build(tmp_path: Path):
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_bytes((pages.SOURCES / name).read_bytes())
    assert pages_of(tmp_path).folder != pages.PAGES.folder
    assert pages_of(pages.SOURCES).folder == pages.PAGES.folder


def test_shared_sources_are_part_of_the_build(tmp_path: Path):
    other = tmp_path / "litert_log.ts"
    other.write_text("export {};\n")
    (shared,) = pages.PAGES.shared
    assert not (pages.SOURCES / "shared").exists()
    assert replace(pages.PAGES, shared=(other,)).folder != pages.PAGES.folder
    other.write_bytes(shared.read_bytes())
    assert replace(pages.PAGES, shared=(other,)).folder == pages.PAGES.folder


def test_the_lock_file_names_no_registry():
    lock = (pages.SOURCES / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert "registry" not in lock
