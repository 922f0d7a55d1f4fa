"""The folder that a run reads and writes."""

from __future__ import annotations

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pupila.errors import PupilaError
from pupila.testing import draw_images
from pupila_flows.cli.main import app
from pupila_flows.station.prefect_log import log_to
from pupila_flows.workspace import Workspace


def test_any_title_makes_a_log_file_of_its_own_inside_the_folder(tmp_path: Path):
    workspace = Workspace.at(tmp_path)
    titles = ["pupil", "../../outside", "pupil[student=a/b]", "pupil[weights=" + "1, " * 200 + "]"]
    files = [workspace.log(title, f"{number:064d}") for number, title in enumerate(titles)]
    files.append(workspace.log(titles[0], "f" * 64))
    for file in files:
        file.write_text("said")
    assert len(set(files)) == 5
    assert {file.resolve().parent for file in files} == {tmp_path / "logs"}


def test_to_look_at_a_workspace_makes_nothing_in_it(tmp_path: Path):
    store = Workspace(tmp_path).store
    assert store.recall("key") is None
    store.collect_garbage()
    with pytest.raises(PupilaError, match="No artifact '0123'"):
        store.open("0123")
    assert not [*tmp_path.iterdir()]


def test_runs_that_begin_in_the_same_second_have_folders_of_their_own(tmp_path: Path):
    workspace, second = Workspace.at(tmp_path), datetime(2026, 3, 1, 12, 30, 59, tzinfo=UTC)
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(workspace.new_run, ["clinic"] * 32, [second] * 32))
    names = sorted(folder.name for folder in made)
    assert len(set(made)) == 32
    assert names[:3] == ["20260301T123059Z", "20260301T123059Z-02", "20260301T123059Z-03"]
    after = workspace.new_run("clinic", second.replace(minute=31, second=0))
    assert after.name > names[-1]


@pytest.mark.parametrize("command", ["run", "validate"])
def test_a_command_does_not_begin_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
):
    usage = shutil.disk_usage("/")._replace(free=20_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)  # pyright: ignore
    draw_images(tmp_path / "images", images=1)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: a\ndata: {path: images}\nsteps: {pupil: {use: train}}\n")
    given = recipe if command == "run" else tmp_path / "images"
    ran = CliRunner().invoke(app, [command, str(given), "--workspace", str(tmp_path / "w")])
    assert isinstance(ran.exception, PupilaError), ran.output
    assert "has 20 MB left, and 100 MB are needed" in str(ran.exception)
    assert not [*(tmp_path / "w").iterdir()]


def test_a_log_on_a_full_disk_prints_no_tracebacks(capsys: pytest.CaptureFixture[str]):
    with log_to(Path("/dev/full")):
        logging.getLogger("some").warning("what nobody can write down")
    assert capsys.readouterr().err == ""
