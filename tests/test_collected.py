"""A workspace from which garbage was collected: what was kept is remembered as before."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from clinic import pupila, write_pictures, write_teacher

from pupila_flows.results import RunResult

pytestmark = pytest.mark.long

RECIPE = """\
name: colours
data: {path: images, positive: red}
teachers:
  big: {path: TEACHER, classes: [green, red]}
steps:
  tflite: {use: export-tflite, from: big}
evaluate: {latency_repeats: 5}
gate: {margins: {accuracy: 0.2}}
"""


def _run(folder: Path, teacher: str) -> tuple[Path, RunResult]:
    (folder / "recipe.yaml").write_text(RECIPE.replace("TEACHER", teacher))
    done = pupila(folder, "run", "recipe.yaml", "--json")
    run = folder / ".pupila" / "runs" / "colours" / "latest"
    return run.resolve(), RunResult.model_validate_json(done.stdout)


def test_after_it_the_last_recipe_finds_nothing_to_do_and_an_older_one_runs_again(tmp_path: Path):
    write_pictures(tmp_path / "images")
    for name, sharpness in (("first", 1), ("second", 1.3)):
        write_teacher(tmp_path / f"{name}.keras", sharpness)
    older, _ = _run(tmp_path, "first.keras")
    last, _ = _run(tmp_path, "second.keras")
    long_ago = time.time() - 60 * 24 * 3600
    for file in (tmp_path / ".pupila").rglob("*"):
        os.utime(file, (long_ago, long_ago))
    collected = json.loads(pupila(tmp_path, "gc", "--json").stdout)
    freed = {kind["kind"]: kind["count"] for kind in collected["freed"]}
    assert freed["artifacts"] == 2 and freed["runs"] == 1
    assert not older.exists()
    again, _ = _run(tmp_path, "second.keras")
    assert again == last
    _, result = _run(tmp_path, "first.keras")
    assert not any(entry.cached for entry in result.entries)
