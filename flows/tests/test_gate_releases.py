"""Releases one after another, from the command line: what each is compared with, and counted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import run_pupila

from pupila.store import Store
from pupila.testing import colour_teacher, draw_colours
from pupila_flows.results import GateResult, RunResult

pytestmark = pytest.mark.long

RECIPE = """\
name: releases
data: {{path: images, positive: blue}}
teachers: {{big: {{path: {teacher}}}}}
steps:
  lite: {{use: export-tflite, from: big}}
  ship: {{use: threshold, from: lite, with: {{positive: blue, {rule}}}}}
gate: {{margins: {{accuracy: 0.6, auc: 0.6, sensitivity: 0.7, specificity: 0.7}}}}
publish: {{}}
"""


def test_a_release_is_compared_by_its_rule_with_the_version_before_and_with_the_first(
    tmp_path: Path,
):
    draw_colours(tmp_path / "images")
    teacher = colour_teacher(Store(tmp_path / "teacher"))

    def released(rule: str) -> GateResult:
        (tmp_path / "recipe.yaml").write_text(RECIPE.format(teacher=teacher.path, rule=rule))
        run_pupila(tmp_path, "run", "recipe.yaml")
        latest = (tmp_path / ".pupila" / "runs" / "releases" / "latest").resolve()
        result = RunResult.model_validate_json((latest / "result.json").read_text())
        shutil.rmtree(latest)
        assert result.gate
        return result.gate

    first, second = released("sensitivity: 0.95"), released("sensitivity: 0.8")
    third, unchanged = released("specificity: 0.7"), released("specificity: 0.7")
    assert [(gate.published, gate.anchor) for gate in (first, second, third, unchanged)] == [
        (None, None),
        ("version 1", None),
        ("version 2", "version 1"),
        ("version 3", None),
    ]
    counts = [
        len(gate.reused_test_images.answers)
        for gate in (first, second, third, unchanged)
        if gate.reused_test_images
    ]
    assert counts == [1, 2, 3, 3]
    compared = [
        finding
        for gate in (first, second, third)
        for finding in gate.artifacts[0].findings
        if finding.difference
    ]
    # one model throughout, at three thresholds
    assert compared and all(finding.value == finding.other for finding in compared)
    assert {finding.against for finding in compared} == {"big", "published", "anchor"}
