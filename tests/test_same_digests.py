"""One recipe makes the same artifacts wherever it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from clinic import write_pictures, write_teacher
from command_line import user_environment

from pupila.store import Store
from pupila_flows.results import Entry, RunResult

pytestmark = pytest.mark.long

RECIPE = """\
name: alike
data: {path: images, positive: red}
teachers:
  teacher: {path: teacher.keras, classes: [green, red]}
steps:
  pupil:
    use: distill
    from: teacher
    with: {student: conv-32-64-8, size: 32, epochs: 2, augmentation: {views: 2}}
  smaller: {use: prune-filters, from: pupil, with: {rounds: 1, epochs: 1}}
  float: {use: export-tflite, from: pupil}
  int8: {use: quantize-int8, from: float, with: {calibration_images: 8}}
  tfjs: {use: export-tfjs, from: pupil}
  found:
    use: search
    from: teacher
    with: {max_candidates: 3, epochs: [1], objectives: [loss, bytes], size: 32, workers: 2}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pictures(tmp_path / "images")
    write_teacher(tmp_path / "teacher.keras", 1)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def run(folder: Path, workspace: str, cores: set[int] | None = None) -> None:
    """Run the recipe, on some cores alone where they are named."""
    environment = user_environment()
    pinned = f"os.sched_setaffinity(0, {cores})" if cores else "pass"
    arguments = ["pupila", "run", "recipe.yaml", "--workspace", workspace]
    program = (
        f"import os, sys; {pinned}; sys.argv = {arguments!r}; "
        "from pupila_flows.cli.main import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def entries(folder: Path, workspace: str) -> dict[str, Entry]:
    """Return the entries of the last run by name."""
    latest = folder / workspace / "runs" / "alike" / "latest"
    result = RunResult.model_validate_json((latest / "result.json").read_text())
    return {entry.name: entry for entry in result.entries}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores can be chosen on Linux")
def test_another_workspace_and_fewer_cores_change_no_artifact(folder: Path):
    run(folder, "one")
    run(folder, "other", {min(os.sched_getaffinity(0))})
    one, other = entries(folder, "one"), entries(folder, "other")
    assert {name: entry.artifact for name, entry in one.items()} == {
        name: entry.artifact for name, entry in other.items()
    }
    for name, entry in one.items():
        assert entry.artifact and entry.record, name
        answers = (
            answer.evaluation and answer.evaluation.metrics for answer in (entry, other[name])
        )
        assert next(answers) == next(answers), name
    pupil = Store(folder / "other" / "store").open(one["pupil"].artifact or "")
    assert pupil.record.origin.threads == 2
    assert one["pupil"].timings["seconds"] != other["pupil"].timings["seconds"] > 0
