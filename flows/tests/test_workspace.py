"""The folder that a run reads and writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pupila.errors import PupilaError
from pupila_flows.workspace import Workspace


def test_any_title_makes_a_log_file_of_its_own_inside_the_folder(tmp_path: Path):
    place = Workspace.at(tmp_path)
    titles = ["pupil", "../../outside", "pupil[student=a/b]", "pupil[weights=" + "1, " * 200 + "]"]
    files = [place.log(title, f"{number:064d}") for number, title in enumerate(titles)]
    files.append(place.log(titles[0], "f" * 64))
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
