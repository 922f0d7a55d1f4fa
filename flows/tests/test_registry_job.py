"""Whole runs that publish: through the command line, from images to a version that is verified."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from command_line import run_pupila

from pupila.store import Store
from pupila.testing import colour_teacher, draw_colours

pytestmark = pytest.mark.long

RECIPE = """\
name: colours
data: {path: images}
teachers:
  big: {path: TEACHER}
steps:
  tflite: {use: export-tflite, from: big}
  float16: {use: quantize-float16, from: tflite}
gate: {margins: {accuracy: 0.2}}
publish: {licence: CC0-1.0}
"""


def _publication(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return json.loads(done.stdout)["publication"]


def test_what_passed_is_published_once_and_what_no_gate_checked_never(tmp_path: Path):
    draw_colours(tmp_path / "images", images=60)
    teacher = colour_teacher(Store(tmp_path / "teachers")).path
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("TEACHER", str(teacher)))
    first = run_pupila(tmp_path, "run", "recipe.yaml", "--json")
    publication = _publication(first)
    assert (publication["outcome"], publication["version"]) == ("published", 1)
    assert publication["registry"] == str(tmp_path / ".pupila" / "registry")
    run_pupila(tmp_path, "verify", "colours")
    chain = json.loads(_version(tmp_path, "manifest.json"))["chain"]
    assert [link["entry"] for link in chain.values()] == ["float16", "tflite", "big"]
    assert "Verdict: **pass**" in _version(tmp_path, "card.md")
    again = run_pupila(tmp_path, "run", "recipe.yaml", "--json")
    assert _publication(again)["outcome"] == "unchanged"
    third = run_pupila(tmp_path, "run", "recipe.yaml", "--json")
    assert "Nothing has changed" not in third.stderr, "that is said to people"
    assert third.stdout == again.stdout
    registry = tmp_path / ".pupila" / "registry"
    registry.rename(tmp_path / "moved")
    gone = run_pupila(tmp_path, "run", "recipe.yaml", "--json")
    assert (_publication(gone)["outcome"], _publication(gone)["version"]) == ("published", 1)
    assert (registry / "colours/versions/000001/report.html").is_file()
    shutil.rmtree(registry)
    (tmp_path / "moved").rename(registry)
    lines = (tmp_path / "recipe.yaml").read_text().splitlines()
    without = "\n".join(line for line in lines if not line.startswith("gate"))
    (tmp_path / "recipe.yaml").write_text(without)
    open_ended = run_pupila(tmp_path, "run", "recipe.yaml")
    assert open_ended.stderr.count("Nothing is published: the recipe has no gate") >= 2
    history = json.loads(run_pupila(tmp_path, "history", "colours", "--json").stdout)
    assert [event["version"] for event in history["events"]] == [1]


def _version(folder: Path, file: str) -> str:
    return (folder / ".pupila/registry/colours/versions/000001" / file).read_text()
