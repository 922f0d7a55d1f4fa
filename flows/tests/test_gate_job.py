"""A gate in whole runs, from the command line."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import run_pupila

from pupila.store import Store
from pupila.testing import colour_teacher, draw_colours
from pupila_flows.results import RunResult

pytestmark = pytest.mark.long


def test_a_run_whose_gate_does_not_pass_ends_failed_and_a_run_whose_gate_passes_is_published(
    tmp_path: Path,
):
    draw_colours(tmp_path / "images")
    teacher = colour_teacher(Store(tmp_path / "teacher"))
    recipe = f"""\
name: gated
data: {{path: images}}
teachers: {{big: {{path: {teacher.path}}}}}
steps:
  lite: {{use: export-tflite, from: big}}
gate:
  margins: {{accuracy: 0.6}}
  published: {{accuracy: 0.001}}
  limits: {{size_bytes: LIMIT}}
publish: {{}}
"""

    def run(limit: int) -> tuple[subprocess.CompletedProcess[str], RunResult]:
        (tmp_path / "recipe.yaml").write_text(recipe.replace("LIMIT", str(limit)))
        done = run_pupila(tmp_path, "run", "recipe.yaml", code=None)
        runs = tmp_path / ".pupila" / "runs" / "gated"
        latest = (runs / "latest").resolve()
        result = RunResult.model_validate_json((latest / "result.json").read_text())
        shutil.rmtree(latest)
        return done, result

    failed, result = run(10)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert result.gate and result.gate.verdict == "fail"
    assert "bytes more than allowed: at most 10 bytes" in failed.stdout
    assert (
        "lite came closest to passing; it is kept as an artifact, not published." in failed.stdout
    )
    assert result.publication and result.publication.outcome == "withheld"
    passed, result = run(1_000_000)
    assert passed.returncode == 0, passed.stdout + passed.stderr
    assert result.gate and result.gate.verdict == "pass" and result.gate.published is None
    assert result.publication and result.publication.version == 1
    again, result = run(999_999)
    assert again.returncode == 0, again.stdout + again.stderr
    assert result.gate and result.gate.published == "version 1"
    assert {finding.against for finding in result.gate.artifacts[0].findings} == {
        "big",
        "published",
        None,
    }
