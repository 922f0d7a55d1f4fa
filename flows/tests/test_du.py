"""What takes room in a workspace."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import pupila_flows.workspace as module
from pupila_flows.cli.du import disk_use
from pupila_flows.cli.main import app
from pupila_flows.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    for name, size in {"cache/pixels/a.npy": 3_000_000, "store/objects/b": 2_000_000}.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_bytes(os.urandom(size))
    os.link(root / "store/objects/b", root / "store/objects/again")
    (root / "store/objects/outside").symlink_to("/usr")
    (root / "notes.txt").write_text("mine")
    return root


def test_the_largest_is_first_and_nothing_counts_twice_or_from_outside(workspace: Path):
    sizes = {entry.name: entry.bytes for entry in disk_use(workspace)}
    assert [*sizes] == ["cache", "store", "notes.txt"]
    assert sizes["cache"] == pytest.approx(3_000_000, rel=0.02)
    assert sizes["store"] == pytest.approx(2_000_000, rel=0.02)


def test_people_and_programs_can_read_it(workspace: Path):
    table = CliRunner().invoke(app, ["du", "--workspace", str(workspace)]).output
    assert re.search(r"cache +3\.\d .*yes, when nothing runs: made again", table)
    assert "notes.txt" in table and "not ours" in table and "in all" in table
    entries = json.loads(CliRunner().invoke(app, ["du", "-w", str(workspace), "--json"]).output)
    assert [entry["name"] for entry in entries] == ["cache", "store", "notes.txt"]
    assert entries[0]["bytes"] > 2_900_000


def test_a_workspace_that_does_not_exist_is_refused_and_not_made(tmp_path: Path):
    ran = CliRunner().invoke(app, ["du", "-w", str(tmp_path / "none")])
    assert "is not a workspace" in str(ran.exception)
    assert not (tmp_path / "none").exists()


def test_every_folder_of_a_workspace_is_known(tmp_path: Path):
    text = Path(module.__file__).read_text()
    names = set(re.findall(r'self\.root / "([\w-]+)"', text))
    for name in names:
        (tmp_path / name).mkdir()
    assert len(names) > 8
    assert not [entry.name for entry in disk_use(tmp_path) if entry.what == "not ours"]


@pytest.mark.parametrize(("free", "said"), [(11, None), (10, "90% full"), (0, "100% full")])
def test_a_disk_is_nearly_full_from_nine_tenths_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, said: str | None
):
    usage = shutil.disk_usage("/")._replace(total=100, free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)  # pyright: ignore
    warning = Workspace(tmp_path).nearly_full
    assert warning is None if said is None else said in str(warning)
