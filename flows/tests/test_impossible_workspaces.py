"""A workspace that cannot be a folder is refused in one sentence by each command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pupila.errors import PupilaError
from pupila_flows.cli.main import app

COMMANDS = (["du"], ["gc", "--dry-run"], ["teacher", "list"], ["check", "recipe.yaml"])


@pytest.mark.parametrize(
    ("workspace", "words"),
    [
        ("loop", "is not a folder"),
        ("file", "is not a folder"),
        ("file/below", "is not a folder"),
        ("pipe", "is not a folder"),
        ("x" * 300, "File name too long"),
        ("/dev/null", "the kernel keeps no files"),
        ("/proc/self/fd", "the kernel keeps no files"),
        ("/proc", "the kernel keeps no files"),
        ("latin-\udcff", "not in UTF-8"),
    ],
)
def test_where_no_folder_can_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: str, words: str
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    before = sorted(tmp_path.iterdir())
    for command in COMMANDS:
        refused = CliRunner().invoke(app, [*command, "--workspace", workspace]).exception
        assert isinstance(refused, PupilaError), command
        assert words in str(refused)
        assert "\n" not in str(refused)
    assert sorted(tmp_path.iterdir()) == before
